"""In a network namespace of its own, whose loopback interface goes down: packets of open connections are lost.

Calls go on waiting for the peer until a Timeout, the socket's timeout or TCP's ends them; nothing hangs.
"""

import socket as standard
import subprocess

from greenio import Timeout, sleep, spawn
from greenio.socket import create_connection, create_server


def link(state):
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


link("up")
with create_server(("127.0.0.1", 0)) as listener:
    client = create_connection(listener.getsockname())
    server, _ = listener.accept()
    reading = spawn(server.recv, 1)
    sleep(0.001)
    link("down")

    client.sendall(b"x")  # into the system's buffer, and no further
    sleep(0.02)
    print("reading:", "waits" if not reading.ready() else reading.value)

    client.settimeout(0.02)
    try:
        client.sendall(bytes(1 << 24))
    except TimeoutError as error:
        print("sendall:", error)

    try:
        with Timeout(0.02):
            client.recv(1)
    except Timeout:
        print("Timeout")

    client.setsockopt(standard.IPPROTO_TCP, standard.TCP_USER_TIMEOUT, 100)
    client.settimeout(20)
    try:
        client.recv(1)
    except OSError as error:
        print("TCP gives up:", type(error).__name__)

    reading.kill()
    link("up")
    again = create_connection(listener.getsockname(), timeout=5)
    accepted, _ = listener.accept()
    accepted.send(b"y")
    print("up again:", again.recv(1).decode())
    for sock in (client, server, again, accepted):
        sock.close()
