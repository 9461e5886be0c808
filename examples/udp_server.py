"""An echo server for datagrams.

python examples/udp_server.py [--port 7001]
"""

import argparse

from greenio.server import DatagramServer


class EchoServer(DatagramServer):
    count = 0

    def handle(self, data, address):
        self.count += 1
        self.sendto(data, address)


def main():
    parser = argparse.ArgumentParser(description="Echo datagrams.")
    parser.add_argument("--port", type=int, default=7001, help="0 for any free port; default: %(default)s")
    options = parser.parse_args()
    server = EchoServer(("127.0.0.1", options.port))
    server.start()
    port = server.server_port
    print(f"UDP echo server on 127.0.0.1:{port}; try: nc -u 127.0.0.1 {port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print(f"{server.count} datagrams")


if __name__ == "__main__":
    main()
