"""The pages of the reference: one for each public module, with its docstring and those of its public names.

A page is text for mkdocstrings, which reads the sources. The lists here have every public module, which a test checks.
"""

import ast
from pathlib import Path

SOURCES = Path(__file__).parents[2]

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
        "greenio.workers": "several processes that serve one address",
        "greenio.backdoor": "prompts in the running program",
        "greenio.baseserver": "what servers have in common",
        "greenio.wsgi": "a WSGI server",
        "greenio.pywsgi": "the same under gevent's name",
        "greenio.websocket": "WebSocket, for servers and clients",
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
        "GreenletExit": "exceptions",
    },
    "greenio.hub": {
        "GreenletExit": "exceptions",
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

#: Modules that have all names of a standard one: {module: the standard one}.
STANDARD = {
    f"greenio.{name}": name
    for name in ("fcntl", "os", "select", "selectors", "signal", "socket", "ssl", "subprocess", "time")
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
        return f"# {name}\n\n::: {name}\n{rest(name)}"
    rows = "".join(f"| `{known}` | [`{module}`]({module}.md) |\n" for known, module in ELSEWHERE[name].items())
    hidden = "|".join(ELSEWHERE[name])
    return (
        f"# {name}\n\n::: {name}\n    options:\n      filters: ['!^_', '!^({hidden})$']\n\n"
        f"## Described elsewhere\n\n| name | page |\n| --- | --- |\n{rows}"
    )


def rest(name):
    """What a page says of names that have no docstring of ours."""
    title = "\n## As in the standard library\n\n"
    if name in STANDARD:
        return f"{title}All other names are those of the standard `{STANDARD[name]}`.\n"
    if name == "greenio.fs":
        of_modules = "".join(f"- of `{module}`: {names}\n" for module, names in functions_of_fs())
        return f"{title}These are called in a thread, with their arguments and results. They switch.\n\n{of_modules}"
    return ""


def functions_of_fs():
    """(module, its functions that are in greenio.fs as they are), as text."""
    tree = ast.parse((SOURCES / "greenio" / "fs.py").read_text())
    for each in tree.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "_FUNCTIONS":
            for row in each.value.elts:
                module, names = row.elts
                yield ast.unparse(module), ", ".join(f"`{name}`" for name in names.value.split())


def listing():
    text = "# Modules\n\n"
    for title, group in MODULES.items():
        text += f"## {title}\n\n| module | what is in it |\n| --- | --- |\n"
        text += "".join(f"| [`{name}`]({name}.md) | {what} |\n" for name, what in group.items())
        text += "\n"
    return text
