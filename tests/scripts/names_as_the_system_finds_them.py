"""In a mount namespace of its own, with a name server on loopback: all resolvers against the standard library.

Prints what differs. Must be started as root, by ``unshare --mount``.
"""

import os
import socket as standard
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from name_server import REFUSED, SERVFAIL, TRUNCATED, NameServer

from greenio import config, get_hub, sleep
from greenio import socket as cooperative

ZONE = {
    "both.test": {"A": ["127.0.0.2", "127.0.0.3"], "AAAA": ["::1"]},
    "four.test": {"A": ["192.0.2.1"]},
    "alias.test": {"CNAME": ["middle.test"]},
    "middle.test": {"CNAME": ["both.test"]},
    "servfail.test": SERVFAIL,
    "refused.test": REFUSED,
    "big.test": {TRUNCATED: True, "A": [f"198.51.100.{number}" for number in range(60)]},
    "empty.test": {},
    "1.2.0.192.in-addr.arpa": {"PTR": ["four.test", "another.test"]},
    "9.2.0.192.in-addr.arpa": SERVFAIL,
    "8.2.0.192.in-addr.arpa": {},
    "6.2.0.192.in-addr.arpa": {"CNAME": ["6.part.test"]},
    "6.part.test": {"PTR": ["six.test"]},
    "xn--bcher-kva.test": {"A": ["192.0.2.5"]},
    "half.test": {"A": ["192.0.2.7"], "AAAA": SERVFAIL},
    "under_line.test": {"A": ["192.0.2.78"]},
}
HOSTS = """
127.0.0.1 localhost
10.1.1.1 two alias1 # comment
10.1.1.2 Two alias2
2001:db8::9 two
2001:db8::5 only6
10.1.1.3 alias1 two
nonsense two
"""
NAMES = [
    "both.test", "BOTH.test", "alias.test", "four.test", "four.test.", "servfail.test", "refused.test", "big.test",
    "half.test", "empty.test", "nothing.test", "bücher.test", "under_line.test", "two", "TWO", "alias2", "only6",
    "localhost", "", "<broadcast>", b"both.test", bytearray(b"both.test"), 5, None, "with space", "x" * 70, "a..b", ".",
    "127.1", "10.1.1.1",
]  # fmt: skip
ADDRESSES = ["192.0.2.1", "192.0.2.9", "192.0.2.8", "192.0.2.7", "192.0.2.6", "10.1.1.1", "127.0.0.1"]
ADDRESSES6 = ["::1", "2001:db8::9", "2001:db8::7", "fe80::1", "::ffff:192.0.2.1", "::ffff:10.1.1.1"]


def calls():
    for name in NAMES:
        for function in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn"):
            yield function, name
        for family in (standard.AF_UNSPEC, standard.AF_INET, standard.AF_INET6):
            for flags in (0, standard.AI_CANONNAME, standard.AI_V4MAPPED, 0x18, standard.AI_ADDRCONFIG):
                yield "getaddrinfo", name, 80, family, standard.SOCK_STREAM, 0, flags
    for port in ("http", b"http", None, "nonsense", -1, 70000, 1.5):
        yield "getaddrinfo", "both.test", port
    for options in [(999,), (0, 99), (0, 0, 99), (0, 0, 17), (0, 0, 0, 1 << 20), (0, 0, 0, 1.5), (0, 2, 0, 1024)]:
        yield "getaddrinfo", "both.test", "http", *options
    for address in ADDRESSES + ADDRESSES6[:4]:
        yield "gethostbyaddr", address
    for flags in (0, standard.NI_NAMEREQD, standard.NI_NUMERICHOST, standard.NI_DGRAM):
        for address in ADDRESSES:
            yield "getnameinfo", (address, 53), flags
        for address in ADDRESSES6:
            yield "getnameinfo", (address, 80, 0, 0), flags


def outcome(module, function, *args):
    try:
        return getattr(module, function)(*args)
    except Exception as error:
        return type(error), error.args


def serve(ready):
    server = NameServer(ZONE)
    for number in range(77, 200):  # another of these programs may run beside this one
        try:
            server.listen_at(f"127.0.0.{number}", 53)
            break
        except OSError:
            continue
    with server:
        os.write(ready, bytes([number]))
        sleep(100)


def look_there(address):
    """Have this process, and no other, ask the name server at an address, and find HOSTS in /etc/hosts."""
    for path, text in (("/etc/resolv.conf", f"nameserver {address}\n"), ("/etc/hosts", HOSTS)):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(text)
            file.flush()
            os.chmod(file.name, 0o644)
            subprocess.run(["mount", "--bind", file.name, path], check=True)


def main():
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            serve(write_end)
        finally:
            os._exit(0)
    try:
        os.close(write_end)
        told = os.read(read_end, 1)
        if not told:
            raise SystemExit("there is no name server")
        look_there(f"127.0.0.{told[0]}")
        compare()
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def compare():
    expected = {repr(call): outcome(standard, *call) for call in calls()}
    for which in ("thread", "ares", "dnspython"):
        config.resolver = which
        get_hub().resolver = None
        for call in calls():
            found = outcome(cooperative, *call)
            if found != expected[repr(call)]:
                print(f"{which}: {call}\n    the system: {expected[repr(call)]}\n    greenio:    {found}")
        get_hub().resolver.close()
    print(f"{len(expected)} calls")


if __name__ == "__main__":
    main()
