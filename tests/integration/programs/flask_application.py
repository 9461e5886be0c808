"""Flask behind Werkzeug's threaded server, asked by many at once."""

import contextvars
import logging
import threading
import urllib.error
import urllib.request

import flask
from together import together, until
from werkzeug.serving import make_server

import greenio

COUNT = 50
who = contextvars.ContextVar("who")


def application():
    made = flask.Flask(__name__)
    meeting = threading.Barrier(COUNT, timeout=30)
    made.sleeping = set()

    @made.get("/together/<name>")
    def all_together(name):
        assert who.get(None) is None, "another request's context"
        who.set(name)
        flask.g.name = name
        meeting.wait()
        threading.Event().wait(0.001)
        return f"{who.get()} {flask.g.name} {flask.request.path}"

    @made.get("/stream/<int:count>")
    def stream(count):
        def parts():
            for number in range(count):
                threading.Event().wait(0.001)
                yield f"{number} {flask.request.path}\n"

        return flask.Response(flask.stream_with_context(parts()))

    @made.get("/endless")
    def endless():
        def parts():
            made.sleeping.add("endless")
            try:
                while True:
                    yield "x" * 1000
                    greenio.sleep(0)
            finally:
                made.sleeping.discard("endless")

        return flask.Response(parts())

    @made.get("/fails")
    def fails():
        raise ValueError("on purpose")

    return made


def serve():
    logging.getLogger("werkzeug").disabled = True
    made = application()
    made.logger.disabled = True
    server = make_server("127.0.0.1", 0, made, threaded=True)
    server.socket.listen(128)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()

    def ask(path, timeout=30):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=timeout) as answer:
            return answer.read().decode()

    got = together(COUNT, lambda number: ask(f"/together/{number}"))
    print(got == [f"{number} {number} /together/{number}" for number in range(COUNT)], who.get(None))
    got = together(10, lambda number: ask(f"/stream/{number + 1}"))
    print(
        all(text.count("\n") == text.count(f"/stream/{number + 1}\n") == number + 1 for number, text in enumerate(got))
    )
    try:
        ask("/fails")
    except urllib.error.HTTPError as error:
        error.close()
        print(error.code)
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/endless", timeout=30) as answer:
        answer.read(10)
        until(lambda: "endless" in made.sleeping)
    until(lambda: not made.sleeping)
    print("the client's end was noticed")
    server.shutdown()
    serving.join()
    server.server_close()
