"""An echo server that speaks TLS.

python examples/tls_server.py --cert cert.pem --key key.pem [--port 7443]

A certificate to try it with:
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost
"""

import argparse

from greenio import ssl
from greenio.server import StreamServer


class EchoServer(StreamServer):
    def handle(self, sock, address):
        while data := sock.recv(65536):
            sock.sendall(data)

    def handshake_failed(self, address, error):
        print(f"{address[0]}:{address[1]}: {error}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Echo over TLS.")
    parser.add_argument("--cert", required=True, help="the certificate, a PEM file")
    parser.add_argument("--key", required=True, help="its key, a PEM file")
    parser.add_argument("--port", type=int, default=7443, help="0 for any free port; default: %(default)s")
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)

    server = EchoServer(("127.0.0.1", options.port), ssl_context=context)
    server.start()
    port = server.server_port
    print(f"TLS echo server on 127.0.0.1:{port}; try: openssl s_client -connect 127.0.0.1:{port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("ended")


if __name__ == "__main__":
    main()
