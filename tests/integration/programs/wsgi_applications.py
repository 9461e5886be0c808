"""Applications for `python -m greenio.wsgi`: plain ones, one under wsgiref's validator, of Flask and of Django."""

import io
import tempfile
from wsgiref.validate import validator

HELLO = b"hello"
BIG = 3_000_000
clients = []  # the objects are kept, so that no two have the same address


def plain(environ, start_response):
    """Answer as the path says."""
    path = environ["PATH_INFO"]
    status, fields, body = "200 OK", [("Content-Type", "text/plain")], [HELLO]
    if path == "/echo":
        body = [environ["wsgi.input"].read()]
    elif path == "/blocks":
        body = iter([b"x" * 1000] * (BIG // 1000))
    elif path == "/file":
        file = tempfile.TemporaryFile()  # noqa: SIM115
        file.write(b"y" * BIG)
        file.seek(0)
        body = environ["wsgi.file_wrapper"](file)
    elif path == "/environ":
        names = ["REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SERVER_PROTOCOL", "REQUEST_METHOD"]
        body = [" ".join(environ[name] for name in names).encode()]
    elif path == "/connections":
        if not any(each is environ["greenio.client"] for each in clients):
            clients.append(environ["greenio.client"])
        body = [str(len(clients)).encode()]
    elif path == "/hints":
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    start_response(status, fields)
    return body


def asked(environ, start_response):
    """Read all of a body in pieces, and answer in blocks, as a careful application does."""
    length = 0
    while data := environ["wsgi.input"].read(1000):
        length += len(data)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"got ", str(length).encode()])


validated = validator(asked)


def with_flask():
    import flask

    made = flask.Flask(__name__)
    made.secret_key = "not secret"

    @made.post("/form")
    def form():
        flask.session["name"] = flask.request.form["name"]
        upload = flask.request.files["upload"]
        return {"name": flask.request.form["name"], "size": len(upload.read()), "file": upload.filename}

    @made.get("/name")
    def name():
        return flask.session["name"]

    @made.get("/stream")
    def stream():
        return flask.Response(str(number) for number in range(10))

    @made.get("/file")
    def file():
        return flask.send_file(io.BytesIO(b"0123456789"), "text/plain", conditional=True)

    @made.get("/crash")
    def crash():
        raise LookupError("secret")

    return made


def with_django():
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path

    def form(request):
        upload = request.FILES["upload"]
        answer = JsonResponse({"name": request.POST["name"], "size": upload.size, "file": upload.name})
        answer.set_cookie("name", request.POST["name"])
        return answer

    def name(request):
        return HttpResponse(request.COOKIES["name"])

    def stream(request):
        return StreamingHttpResponse(str(number) for number in range(10))

    def file(request):
        opened = tempfile.NamedTemporaryFile()  # noqa: SIM115
        opened.write(b"0123456789")
        opened.seek(0)
        return FileResponse(opened)

    def crash(request):
        raise LookupError("secret")

    views = {"form": form, "name": name, "stream": stream, "file": file, "crash": crash}
    urls = [path(each, view) for each, view in views.items()]
    settings.configure(ROOT_URLCONF=tuple(urls), ALLOWED_HOSTS=["*"], SECRET_KEY="not secret", LOGGING_CONFIG=None)
    django.setup()
    return get_wsgi_application()
