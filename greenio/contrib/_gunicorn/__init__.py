"""The parts of greenio.contrib.gunicorn (internal).

| module | what it is for |
| --- | --- |
| process | what both workers share: a process of gunicorn's whose clients are greenlets |
| settings | which of gunicorn's settings GreenioWSGIWorker honours, and what they mean to greenio.wsgi |
| requests | a request of greenio.wsgi as gunicorn's hooks and logs see it |
"""
