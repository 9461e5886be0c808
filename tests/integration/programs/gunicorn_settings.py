"""gunicorn's settings in the tests: its hooks write their calls into a file."""

import os


def tell(*words):
    with open(os.environ["HOOKS"], "a") as file:
        print(*words, file=file)


def post_worker_init(worker):
    import gunicorn_app  # not before gunicorn imports it

    gunicorn_app.worker = worker


if os.environ.get("REQUEST_HOOKS"):

    def pre_request(worker, req):
        tell("before", req.method, req.uri, req.path, dict(req.headers).get("X-FIELD"))

    def post_request(worker, req, environ, resp):
        tell("after", req.path, resp.status, environ["PATH_INFO"])


def worker_exit(server, worker):
    tell("exit", worker.pid)


def worker_abort(worker):
    tell("abort", worker.pid)
