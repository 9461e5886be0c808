"""The names that patching replaces, by module: data.

Each entry names the module with the replacements, and the names that are replaced. A name that this version of Python
does not have is passed over. Functions that the standard library builds on these become cooperative with them, such as
`socket.create_connection()`.

A dotted name is an attribute of a class. The class itself is not replaced, so code that has taken it already gets the
new behaviour.
"""

from __future__ import annotations

__all__ = ["SOURCES", "TABLES"]

#: The module of the standard library, or a key of TABLES -> the module that has the replacements.
SOURCES = {
    "_queue": "greenio.queue",
    "_thread": "greenio.thread",
    "fcntl": "greenio.fcntl",
    "os": "greenio.os",
    "queue": "greenio.queue",
    "select": "greenio.select",
    "selectors": "greenio.selectors",
    "signal": "greenio.signal",
    "socket": "greenio.socket",
    "subprocess": "greenio.subprocess",
    "sys": "greenio._patched.running_loop",
    "sys threads": "greenio._patched.frames",
    "threading": "greenio.threading",
    "time": "greenio.time",
}

#: The module of the standard library -> the names replaced in it; (name, name in the source) where they differ.
TABLES: dict[str, list[str | tuple[str, str]]] = {
    "_thread": [
        "LockType", "_ThreadHandle", "_count", "_make_thread_handle", "_set_sentinel", ("allocate", "allocate_lock"),
        "allocate_lock", "get_ident", ("_local", "local"), "lock", "start_joinable_thread", "start_new",
        "start_new_thread",
    ],
    "fcntl": ["flock", "lockf"],
    "os": [
        "close", "closerange", "dup2", "eventfd_read", "execv", "execve", "lockf", "popen", "posix_spawn",
        "posix_spawnp", "read", "readv", "sendfile", "system", "wait", "wait3", "wait4", "waitid", "waitpid",
        "write", "writev",
    ],
    "_queue": ["Empty", "SimpleQueue"],
    "queue": ["LifoQueue", "PriorityQueue", "Queue", "SimpleQueue"],
    "select": ["epoll", "poll", "select"],
    "selectors": ["EpollSelector._selector_cls", "PollSelector._selector_cls", "SelectSelector._select"],
    "signal": [
        "getsignal", "pause", "pthread_kill", "pthread_sigmask", "set_wakeup_fd", "signal", "sigtimedwait", "sigwait",
        "sigwaitinfo",
    ],
    "socket": ["socket"],
    "socket dns": ["getaddrinfo", "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "getnameinfo"],
    "subprocess": ["Popen"],
    "sys": ["set_asyncgen_hooks", "set_coroutine_origin_tracking_depth"],
    "sys threads": [("_current_exceptions", "current_exceptions"), ("_current_frames", "current_frames")],
    "time": ["pthread_getcpuclockid", "sleep"],
}  # fmt: skip
