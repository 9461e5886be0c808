"""The parts of greenio.contrib.gunicorn (internal).

| module | what it is for |
| --- | --- |
| process | the base of both workers: a process of gunicorn's with a greenlet for each client |
| settings | gunicorn's settings as arguments of greenio.wsgi, for GreenioWSGIWorker |
| requests | a request of greenio.wsgi in the form of gunicorn's hooks and logs |
"""
