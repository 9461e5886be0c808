"""One WSGI server with one process that serves, until it is ended with SIGTERM: `python serve.py NAME KIND PORT LOG`.

KIND is "plain", "log" (requests are written to the file LOG) or "tls". Servers that have a command are started with it,
as their users do. http.py, in the folder above, has the tables.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
CERTIFICATES = HERE.parents[1] / "tests" / "certificates"
CERTIFICATE, KEY = str(CERTIFICATES / "cert.pem"), str(CERTIFICATES / "key.pem")
APPLICATION = "application:application"
CONNECTIONS = 10_000  # the limit of connections of each server that has one


def run(*command):
    """Become this command."""
    os.chdir(HERE)
    os.environ["PYTHONPATH"] = str(HERE)
    os.execv(sys.executable, [sys.executable, "-m", *map(str, command)])


def greenio(kind, port, log):
    more = {"log": ["--access-log", log], "tls": ["--certfile", CERTIFICATE, "--keyfile", KEY]}.get(kind, [])
    run("greenio.wsgi", APPLICATION, "-b", f"127.0.0.1:{port}", *more)


def granian(kind, port, log):
    more = {
        "log": ["--access-log"],
        "tls": ["--ssl-certificate", CERTIFICATE, "--ssl-keyfile", KEY],
    }.get(kind, [])
    options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", port, "--workers", 1, "--http", "1"]
    redirect(log)
    run("granian", *options, "--blocking-threads", 1, *more, APPLICATION)


def gunicorn(worker):
    def serve(kind, port, log):
        more = {"log": ["--access-logfile", log], "tls": ["--certfile", CERTIFICATE, "--keyfile", KEY]}.get(kind, [])
        options = ["-b", f"127.0.0.1:{port}", "-w", 1, "-k", worker, "--keep-alive", 75]
        options += ["--worker-connections", CONNECTIONS, "--log-level", "error", "--no-control-socket"]
        if worker == "gthread":
            options += ["--threads", 50]
        run("gunicorn", *options, *more, APPLICATION)

    return serve


def gevent(kind, port, log):
    from gevent.pywsgi import WSGIServer

    tls = {"certfile": CERTIFICATE, "keyfile": KEY} if kind == "tls" else {}
    with open(log, "a", buffering=1) as file:
        logged = file if kind == "log" else None
        WSGIServer(("127.0.0.1", port), load(), backlog=1024, log=logged, **tls).serve_forever()


def bjoern(kind, port, log):
    import bjoern as server

    server.run(load(), "127.0.0.1", port)


def fastwsgi(kind, port, log):
    import fastwsgi as server

    server.run(wsgi_app=load(), host="127.0.0.1", port=port)


def waitress(kind, port, log):
    import waitress as server

    limits = {"connection_limit": CONNECTIONS, "channel_timeout": 600, "asyncore_use_poll": True}
    server.serve(load(), host="127.0.0.1", port=port, threads=4, **limits)


def load():
    from application import application

    return application


def redirect(log):
    """Send standard output to a file."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(fd, 1)
    os.dup2(fd, 2)


SERVERS = {
    "greenio": greenio,
    "granian": granian,
    "bjoern": bjoern,
    "fastwsgi": fastwsgi,
    "gevent.pywsgi": gevent,
    "gunicorn greenio.wsgi": gunicorn("greenio.contrib.gunicorn.GreenioWSGIWorker"),
    "gunicorn greenio": gunicorn("greenio.contrib.gunicorn.GreenioWorker"),
    "gunicorn gevent": gunicorn("gevent"),
    "gunicorn gthread": gunicorn("gthread"),
    "waitress": waitress,
}
#: The module that is imported to see whether a server is installed.
MODULES = {
    "gevent.pywsgi": ["gevent"],
    "gunicorn greenio.wsgi": ["gunicorn", "httptools"],
    "gunicorn greenio": ["gunicorn"],
    "gunicorn gevent": ["gunicorn", "gevent"],
    "gunicorn gthread": ["gunicorn"],
}
WITHOUT_TLS = {"bjoern", "fastwsgi", "waitress"}
WITHOUT_LOG = {"bjoern", "fastwsgi", "waitress"}


if __name__ == "__main__":
    name, kind, port, log = sys.argv[1:]
    SERVERS[name](kind, int(port), log)
