"""Several processes that serve one address, and the supervisor that starts them (internal).

| module | what it is for |
| --- | --- |
| standard_error | printing lines where nobody may read them |
| options | the settings of a supervisor |
| listeners | the sockets, which the supervisor holds |
| notify | messages to systemd |
| stacks | the stacks of a worker, as text |
| worker | in a worker process: serving, counting, ending |
| process | in the supervisor: one worker process |
| slot | in the supervisor: the place of one worker, and its replacement |
| metrics, status | `/healthz` and `/metrics` |
| supervisor | starting, checking, reloading and ending the workers |

Words
    The *supervisor* is the process that a person or systemd starts. A *worker* is a process that the supervisor has
    forked, and that serves. A *slot* is the place of a worker: its number, its sockets, and the counters of all workers
    that have been there. To *recycle* a worker is to start another one in its slot, and to end the old one when the new
    one is ready. A *beat* is a turn of a worker's hub, which the worker counts.
"""
