"""asyncio's streams over loopback: echo, limits, ends in the middle, refused, times; subprocesses beside."""

import asyncio
import socket
import sys

from _tell import tell


async def echo(reader, writer):
    try:
        while line := await reader.readline():
            if line == b"die\n":
                writer.transport.abort()
                return
            writer.write(line.upper())
            await writer.drain()
    except (ValueError, ConnectionError) as error:
        print("server:", type(error).__name__)
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0, limit=100)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.writelines([b"one\n", b"two\n"])
    print(await reader.readline(), await reader.readexactly(4))
    try:
        await asyncio.wait_for(reader.read(1), 0.002)
    except asyncio.TimeoutError as error:
        print(type(error).__name__)
    writer.write(b"half")
    writer.write_eof()
    print(await reader.read())
    writer.close()
    await writer.wait_closed()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"die\n")
    try:
        print(await reader.readexactly(5))
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        print(type(error).__name__)
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x" * 500)
    await writer.drain()
    try:
        print(await reader.read())
    except ConnectionError as error:
        print(type(error).__name__)
    writer.close()
    server.close()
    await server.wait_closed()
    try:
        await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        print(type(error).__name__)

    loop = asyncio.get_running_loop()
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    await loop.sock_sendall(one, b"by socket")
    print(await loop.sock_recv(other, 100))
    try:
        await asyncio.wait_for(loop.sock_recv(other, 100), 0.001)
    except asyncio.TimeoutError:
        print("nothing more")
    readable = loop.create_future()
    loop.add_reader(other, lambda: readable.done() or readable.set_result(other.recv(10)))
    one.send(b"again")
    print(await readable, loop.remove_reader(other), loop.remove_reader(other))
    one.close()
    print(await loop.sock_recv(other, 5))
    other.close()


class Protocol(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, address):
        self.received.set_result(data)


async def datagrams():
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
    sender, _ = await loop.create_datagram_endpoint(Protocol, remote_addr=transport.get_extra_info("sockname"))
    sender.sendto(b"datagram")
    print(await asyncio.wait_for(protocol.received, 20))
    sender.close()
    transport.close()


async def processes():
    run = asyncio.create_subprocess_exec
    pipe = asyncio.subprocess.PIPE
    process = await run("cat", stdin=pipe, stdout=pipe)
    print(await process.communicate(b"through"), process.returncode)
    process = await run("sleep", "1000")
    process.terminate()
    print(await process.wait())
    process = await asyncio.create_subprocess_shell("echo out; echo err >&2; exit 3", stdout=pipe, stderr=pipe)
    print(await process.communicate(), process.returncode)
    try:
        await run("/no/such/program")
    except FileNotFoundError as error:
        print(error)
    process = await run("sleep", "1000", stdout=pipe)
    try:
        await asyncio.wait_for(process.communicate(), 0.002)
    except asyncio.TimeoutError:
        process.kill()
        print(await process.wait())


for function in (main, datagrams, processes):
    tell(function.__name__, asyncio.run, function())
sys.stdout.flush()
