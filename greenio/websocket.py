"""WebSocket (RFC 6455), for servers and clients.

    def application(environ, start_response):       # with greenio.wsgi
        websocket = environ["wsgi.websocket"]
        for message in websocket:
            websocket.send(message)
        return []

    with connect("wss://example.com/") as websocket:
        websocket.send("hello")
        print(websocket.receive())

It needs `websockets`: pip install 'greenio[websocket]'. Methods that wait say that they switch; the others do not.
"""

from __future__ import annotations

from greenio._websocket.client import connect
from greenio._websocket.connection import WebSocket
from greenio._websocket.errors import HandshakeError, WebSocketError
from greenio._websocket.serving import ServerWebSocket

__all__ = ["HandshakeError", "ServerWebSocket", "WebSocket", "WebSocketError", "connect"]
