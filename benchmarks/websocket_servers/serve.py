"""One WebSocket server that sends everything back, until it is ended with SIGTERM: `python serve.py NAME PORT`.

websocket.py, in the folder above, has the tables.
"""

import sys


def application(environ, start_response):
    """For greenio and gevent-websocket, whose names are the same."""
    websocket = environ["wsgi.websocket"]
    while (message := websocket.receive()) is not None:
        websocket.send(message)
    return []


def greenio(port):
    from greenio.wsgi import WSGIServer

    WSGIServer(("127.0.0.1", port), application, backlog=1024, log=None).serve_forever()


def gevent_websocket(port):
    from gevent.pywsgi import WSGIServer
    from geventwebsocket.handler import WebSocketHandler

    WSGIServer(("127.0.0.1", port), application, backlog=1024, log=None, handler_class=WebSocketHandler).serve_forever()


async def asgi(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event.get("bytes"), "text": event.get("text")})


def uvicorn(protocol):
    def serve(port):
        import uvicorn

        uvicorn.run(
            asgi, host="127.0.0.1", port=port, backlog=1024, ws=protocol, ws_per_message_deflate=False,
            log_level="error", loop="uvloop", lifespan="off",
        )  # fmt: skip

    return serve


SERVERS = {
    "greenio": greenio,
    "gevent-websocket": gevent_websocket,
    "uvicorn websockets": uvicorn("websockets-sansio"),
    "uvicorn wsproto": uvicorn("wsproto"),
}
#: The module that is imported to see whether a server is installed.
MODULES = {
    "greenio": ["httptools", "websockets"],
    "gevent-websocket": ["gevent", "geventwebsocket"],
    "uvicorn websockets": ["uvicorn", "uvloop", "websockets"],
    "uvicorn wsproto": ["uvicorn", "uvloop", "wsproto"],
}


if __name__ == "__main__":
    name, port = sys.argv[1:]
    SERVERS[name](int(port))
