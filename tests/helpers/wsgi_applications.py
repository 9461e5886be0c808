"""WSGI applications that several files serve."""


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def endless(ended):
    """An application whose answer has no end. The event `ended` is set when the server gives it up."""

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 100_000
        finally:
            ended.set()

    return application


def echo(environ, start_response):
    """Send every message of a WebSocket back."""
    websocket = environ["wsgi.websocket"]
    for message in websocket:
        websocket.send(message)
    return []
