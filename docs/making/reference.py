"""The pages of the reference: one for each public module, with its docstring and those of its public names.

A page is text for mkdocstrings, which reads the sources. The lists here have every public module, which a test checks.
"""

#: Public modules, in groups: {title of the group: {module: what it is for}}.
MODULES = {
    "Greenlets": {
        "greenio": "the names at the top: spawning, sleeping, waiting, timeouts, task groups",
        "greenio.greenlet": "`Greenlet`",
        "greenio.taskgroup": "`TaskGroup`",
        "greenio.timeout": "`Timeout` and `with_timeout`",
        "greenio.pool": "`Pool` and `Group`",
        "greenio.local": "data of each greenlet",
        "greenio.threadpool": "calls that can only block, in threads",
    },
    "Events, locks, queues": {
        "greenio.event": "`Event` and `AsyncResult`",
        "greenio.lock": "locks of every kind",
        "greenio.mutex": "`Lock` and `RLock` alone",
        "greenio.queue": "queues and `Channel`",
    },
    "Sockets and servers": {
        "greenio.socket": "as `socket`",
        "greenio.ssl": "as `ssl`",
        "greenio.select": "as `select`",
        "greenio.selectors": "as `selectors`",
        "greenio.server": "`StreamServer`",
        "greenio.backdoor": "prompts in the running program",
        "greenio.baseserver": "what servers have in common",
        "greenio.wsgi": "a WSGI server",
        "greenio.pywsgi": "the same under gevent's name",
        "greenio.resolver": "how names are looked up",
    },
    "Files, processes, signals": {
        "greenio.fileobject": "files on pipes, sockets, terminals and disks",
        "greenio.fs": "files and folders, in threads",
        "greenio.fcntl": "as `fcntl`: locks of files",
        "greenio.os": "as `os`",
        "greenio.subprocess": "as `subprocess`",
        "greenio.signal": "as `signal`",
        "greenio.time": "as `time`",
    },
    "Patching": {
        "greenio.monkey": "the standard library made cooperative",
        "greenio.events": "who is told of patching",
        "greenio.thread": "what stands in for `_thread`",
        "greenio.threading": "what stands in for parts of `threading`",
    },
    "The hub, settings, tools": {
        "hub": "the hub, its exceptions, `Wait` and `Waiter`",
        "greenio.hub": "the hub under gevent's names",
        "greenio.config": "settings",
        "greenio.util": "reports, and sections that must or must not switch",
        "greenio.testing": "for tests: a clock, limits of time, what is left behind",
    },
}

#: Names that a module has of another one, and that are described there: {module: {name: the other module}}.
ELSEWHERE = {
    "greenio": {
        "Greenlet": "greenio.greenlet",
        "TaskGroup": "greenio.taskgroup",
        "Timeout": "greenio.timeout",
        "with_timeout": "greenio.timeout",
        "config": "greenio.config",
        "get_hub": "hub",
    },
    "greenio.hub": {
        "Hub": "hub",
        "Waiter": "hub",
        "get_hub": "hub",
        "sleep": "greenio",
        "idle": "greenio",
        "iwait": "greenio",
        "kill": "greenio",
        "reinit": "greenio",
        "signal": "greenio",
        "spawn_raw": "greenio",
        "wait": "greenio",
    },
}


def modules():
    """Every public module (list of str)."""
    return [name for group in MODULES.values() for name in group]


def navigation():
    """What the site's navigation has for them."""
    return [{title: [f"reference/{name}.md" for name in group]} for title, group in MODULES.items()]


def pages():
    """The pages: {place on the site: text}."""
    made = {f"reference/{name}.md": page(name) for name in modules()}
    made["reference/modules.md"] = listing()
    return made


def page(name):
    """The text of a module's page. Classes that have a page of their own are only named on that of `greenio`."""
    if name not in ELSEWHERE:
        return f"# {name}\n\n::: {name}\n"
    rows = "".join(f"| `{known}` | [`{module}`]({module}.md) |\n" for known, module in ELSEWHERE[name].items())
    hidden = "|".join(ELSEWHERE[name])
    return (
        f"# {name}\n\n::: {name}\n    options:\n      filters: ['!^_', '!^({hidden})$']\n\n"
        f"## Described elsewhere\n\n| name | page |\n| --- | --- |\n{rows}"
    )


def listing():
    text = "# Modules\n\n"
    for title, group in MODULES.items():
        text += f"## {title}\n\n| module | what is in it |\n| --- | --- |\n"
        text += "".join(f"| [`{name}`]({name}.md) | {what} |\n" for name, what in group.items())
        text += "\n"
    return text
