"""A Flask application on greenio's WSGI server: each client has a greenlet, and /slow holds up nobody.

    pip install 'greenio[wsgi]' flask
    python examples/wsgi_flask.py --port 8000
    curl http://127.0.0.1:8000/hello/world

Ctrl-C ends it when the requests under way are answered. The same from the command line:

    python -m greenio.wsgi --patch examples.wsgi_flask:application
"""

# ruff: noqa: E402
from greenio import monkey

monkey.patch_all()

import argparse
import time

from flask import Flask, request

from greenio.wsgi import WSGIServer

application = Flask(__name__)


@application.get("/hello/<name>")
def hello(name):
    return {"hello": name, "from": request.remote_addr}


@application.get("/slow")
def slow():
    time.sleep(1)  # other requests are answered meanwhile
    return {"slept": 1}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    server = WSGIServer(("127.0.0.1", parser.parse_args().port), application)
    server.start()
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.stop(drain=30)


if __name__ == "__main__":
    main()
