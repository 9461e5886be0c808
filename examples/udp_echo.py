"""An echo server for datagrams.

python examples/udp_echo.py [--port 7001]
"""

import argparse

from greenio.socket import AF_INET, SOCK_DGRAM, socket


def main():
    parser = argparse.ArgumentParser(description="Echo datagrams.")
    parser.add_argument("--port", type=int, default=7001, help="0 for any free port; default: %(default)s")
    options = parser.parse_args()
    count = 0
    with socket(AF_INET, SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", options.port))
        port = sock.getsockname()[1]
        print(f"UDP echo server on 127.0.0.1:{port}; try: nc -u 127.0.0.1 {port}", flush=True)
        try:
            while True:
                data, address = sock.recvfrom(65536)
                count += 1
                sock.sendto(data, address)
        except KeyboardInterrupt:
            print(f"{count} datagrams")


if __name__ == "__main__":
    main()
