"""Modules imported by several threads at once: once each, cycles, ones that fail, that start threads, that wait."""

import importlib
import os
import sys
import tempfile
import threading

from _tell import tell

folder = tempfile.TemporaryDirectory()
sys.path.insert(0, folder.name)
sys.dont_write_bytecode = True
SOURCES = {
    "slow": "import time, __main__\n__main__.runs.append('slow')\ntime.sleep(0.002)\nvalue = 1",
    "fails": "import time, __main__\n__main__.runs.append('fails')\ntime.sleep(0.001)\nraise LookupError('failed')",
    "first": "import time\ntime.sleep(0.001)\nimport second\nvalue = second.value",
    "second": "import time\nvalue = 2\ntime.sleep(0.001)\nimport first",
    "starts": "import threading\nvalue = []\nt = threading.Thread(target=value.append, args=(3,))\nt.start()\nt.join()",
    "imports": "import threading\nt = threading.Thread(target=__import__, args=('slow',))\nt.start()\nt.join()",
    "lazy": "def __getattr__(name):\n    import time\n    time.sleep(0.001)\n    return name.upper()",
}
for name, source in SOURCES.items():
    with open(os.path.join(folder.name, f"{name}.py"), "w") as file:
        file.write(source)
importlib.invalidate_caches()
runs, results = [], []


def load(name):
    try:
        results.append((name, getattr(importlib.import_module(name), "value", None)))
    except BaseException as error:
        results.append((name, repr(error)))


def together(*names):
    del results[:]
    threads = [threading.Thread(target=load, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(map(str, results)), runs.count("slow"))


together(*["slow"] * 5)
together("first", "second")
together("starts", "starts")
del sys.modules["slow"]
together("imports", "slow")
together("lazy")
print(importlib.import_module("lazy").attribute)
together("fails", "nonesuch")
print("fails" in sys.modules, runs.count("fails") >= 1)
tell("not there", importlib.import_module, "nonesuch.below")
tell("reload", lambda: importlib.reload(sys.modules["slow"]).value)
tell("reload of nothing", importlib.reload, 5)
folder.cleanup()
