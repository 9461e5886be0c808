"""A program ends while a client of its backdoor is at a prompt: its streams are in order, and nothing is reported."""

from greenio.backdoor import BackdoorServer
from greenio.socket import create_connection

server = BackdoorServer(("127.0.0.1", 0), banner="")
server.start()
client = create_connection(server.address)
assert client.recv(100) == b">>> "
client.sendall(b"import greenio; greenio.sleep(1000)\n")
print("the end")
