"""The WSGI application that benchmarks/http.py has every server serve."""

PAGE = b"x" * 10_000
PLAIN = ("Content-Type", "text/plain")


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/":
        body = b"Hello, World!"
    elif path == "/page":
        body = PAGE
    else:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(body)))])
    return [body]
