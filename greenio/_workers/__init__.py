"""Several processes that serve one address, and the one that starts them (internal).

| module | what it is for |
| --- | --- |
| telling | what is said on standard error |
| options | what a program may say |
| listeners | the sockets, which the supervisor holds |
| notify | what systemd is told |
| stacks | what a worker does, as text |
| worker | in a worker process: serving, ending, telling that it is well |
| process | in the supervisor: a worker process |
| slot | one place among the workers: who serves there, and who comes next |
| metrics, status | `/healthz` and `/metrics` |
| supervisor | starting, reloading and ending the workers |

Words
    The *supervisor* is the process that a person or systemd starts. A *worker* is a process that it has forked, and
    that serves. A *slot* is the place of a worker: its number, its sockets, and what is known of it from one worker to
    the next. To *recycle* a worker is to start another in its slot, and to let the old one finish when that one is
    ready.
"""
