"""The parts of greenio.websocket (internal).

| module | what it is for |
| --- | --- |
| errors | what goes wrong |
| arguments | what programs give for a handshake |
| sansio | frames and handshakes: the only module that knows `websockets` |
| request | a request for a WebSocket: whether it is one, and from where |
| sending, receiving, connection | WebSocket: messages out and in; pings, and the end |
| taken | `werkzeug.socket`: the socket itself, for other libraries |
| serving | `wsgi.websocket`: what greenio.wsgi calls |
| proxies | through which proxy to connect, and how |
| client | connect() |
"""
