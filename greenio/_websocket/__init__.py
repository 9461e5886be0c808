"""The parts of greenio.websocket (internal).

| module | what it is for |
| --- | --- |
| errors | the exceptions |
| arguments | checking the arguments of handshakes |
| sansio | frames and handshakes: the only module that imports `websockets` |
| request | checking a client's request for a WebSocket |
| sending, receiving, connection | WebSocket: sending messages, receiving them, pings and the end |
| werkzeug_socket | `werkzeug.socket`: the connection's socket, for other libraries |
| serving | `wsgi.websocket`: WebSockets of greenio.wsgi |
| proxies | connecting through a proxy |
| client | connect() |
"""
