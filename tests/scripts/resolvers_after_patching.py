"""A patched program looks names up by a resolver that is first imported there, in threads that are greenlets.

The first argument is the resolver; another is a module to import before patching.
"""

import faulthandler
import sys
from importlib import import_module
from pathlib import Path

for name in sys.argv[2:]:
    import_module(name)

from greenio import monkey  # noqa: E402

monkey.patch_all()
faulthandler.dump_traceback_later(30, exit=True)

import socket  # noqa: E402
import threading  # noqa: E402

from greenio import config  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))
from name_server import NameServer  # noqa: E402

found = []
with NameServer({"answer.test": {"A": ["192.0.2.1"]}}) as server:
    config.resolver, config.resolver_nameservers = sys.argv[1], server.address
    threads = [threading.Thread(target=lambda: found.append(socket.gethostbyname("answer.test"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(found)
if sys.argv[1] == "ares":
    # The thread that closes pycares' channels waits in C.
    from pycares import _shutdown_manager

    assert _shutdown_manager._thread.native_id != threading.get_native_id()
