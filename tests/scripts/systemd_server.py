"""A service of systemd, whose sockets are descriptors 3 and 4 and have names. Prints its port."""

import os
import sys

from greenio.server import StreamServer

sockets = [os.dup(int(os.environ[name])) for name in ("FIRST", "SECOND")]
for number, descriptor in zip((3, 4), sockets, strict=True):
    os.dup2(descriptor, number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="web:admin")
try:
    server = StreamServer(sys.argv[1], print)
except ValueError as error:
    print("2 descriptors are meant" if "2 descriptors are meant" in str(error) else error)
else:
    print("port", server.server_port)
    server.close()
