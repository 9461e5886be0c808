"""Looks up many names at once.

python examples/dns_lookup.py name ...
"""

import sys

from greenio.pool import Pool
from greenio.socket import SOCK_STREAM, gaierror, getaddrinfo


def look_up(name):
    try:
        found = getaddrinfo(name, None, type=SOCK_STREAM)
    except (gaierror, UnicodeError) as error:
        return name, [f"({error})"]
    return name, [address[0] for *_, address in found]


def main():
    names = sys.argv[1:] or ["localhost", "127.0.0.1", "::1"]
    for name, addresses in Pool(50).imap(look_up, names):
        print(f"{name}: {', '.join(addresses)}")


if __name__ == "__main__":
    main()
