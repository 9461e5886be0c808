"""Forwards connections from one port to another: two greenlets for each.

python examples/port_forward.py LISTEN_PORT HOST:PORT
"""

import argparse

import greenio
from greenio.server import StreamServer
from greenio.socket import SHUT_WR, create_connection


def copy(source, target):
    """Copy data until the source ends, and then end the target."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(SHUT_WR)
    except OSError:
        # One side is gone: so is the connection.
        source.close()
        target.close()


def main():
    parser = argparse.ArgumentParser(description="Forward connections.")
    parser.add_argument("port", type=int, help="where to listen, on 127.0.0.1; 0 for any free port")
    parser.add_argument("target", help="where to forward to, as host:port")
    options = parser.parse_args()
    host, _, port = options.target.rpartition(":")

    def forward(sock, address):
        try:
            target = create_connection((host, int(port)), timeout=10)
        except OSError as error:
            print(f"{address[0]}:{address[1]}: {error}", flush=True)
            return
        target.settimeout(None)
        with target:
            greenio.joinall([greenio.spawn(copy, sock, target), greenio.spawn(copy, target, sock)])

    server = StreamServer(("127.0.0.1", options.port), forward)
    server.start()
    print(f"forwarding 127.0.0.1:{server.server_port} to {options.target}; Ctrl-C ends it", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("ended")


if __name__ == "__main__":
    main()
