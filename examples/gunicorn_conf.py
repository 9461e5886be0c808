"""gunicorn's settings for an application on greenio: a process for each core, behind a proxy on the same machine.

    pip install 'greenio[wsgi]' gunicorn flask
    gunicorn -c examples/gunicorn_conf.py examples.wsgi_flask:application

GreenioWSGIWorker has greenio.wsgi's HTTP, and refuses settings that it does not have. For HTTP/2, and for all of
gunicorn's settings, take greenio.contrib.gunicorn.GreenioWorker.
"""

import os

bind = os.environ.get("BIND", "127.0.0.1:8000")

# Greenlets run in one thread, so a process uses one core.
workers = int(os.environ.get("WEB_CONCURRENCY", os.cpu_count() or 1))
worker_class = "greenio.contrib.gunicorn.GreenioWSGIWorker"
# In each worker. Each takes a descriptor, and often one more for its own request to a database: see `ulimit -n`.
worker_connections = 1000

# The application is imported once, and the workers share its memory. SIGHUP does not load new code then.
preload_app = True

# Longer than the proxy keeps its connections, so that it is the proxy that closes them (nginx: 60 seconds).
keepalive = 75
# A worker whose greenlets do not let others run for so long tells where they are, and is replaced.
timeout = 30
# Requests have so long to end when the server is told to. The orchestrator has to wait longer before it kills.
graceful_timeout = 30
# A new process now and then, against memory that leaks; not all of them at the same time.
max_requests = 100_000
max_requests_jitter = 10_000

# The proxy is on this machine, and says whether its client speaks HTTPS.
forwarded_allow_ips = "127.0.0.1"

accesslog = "-"
access_log_format = '%(h)s "%(r)s" %(s)s %(B)s %(M)sms'


def post_worker_init(worker):
    """In each worker, when the application is there: what may not be shared by processes is made here."""
    worker.log.info("worker %s serves", worker.pid)
