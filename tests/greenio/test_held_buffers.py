"""A buffer cannot be resized while a call waits that receives into it, or sends it."""

import os as standard
from contextlib import suppress

import pytest

from greenio import os, sleep, spawn
from greenio.fileobject import FileObjectPosix
from greenio.socket import MSG_PEEK, MSG_WAITALL, socketpair


@pytest.fixture
def sockets():
    ours, theirs = socketpair()
    with ours, theirs:
        yield ours, theirs


RECEIVING = {
    "recv_into": lambda sock, buffer: sock.recv_into(buffer),
    "recvfrom_into": lambda sock, buffer: sock.recvfrom_into(buffer)[0],
    "recvmsg_into": lambda sock, buffer: sock.recvmsg_into([buffer])[0],
    "recvfrom_into all": lambda sock, buffer: sock.recvfrom_into(buffer, 8, MSG_WAITALL)[0],
    "recvmsg_into all": lambda sock, buffer: sock.recvmsg_into([buffer], 0, MSG_WAITALL)[0],
    "recvmsg_into peek": lambda sock, buffer: sock.recvmsg_into([buffer], 0, MSG_WAITALL | MSG_PEEK)[0],
    "readv": lambda sock, buffer: os.readv(sock.fileno(), [buffer]),
}


def check_held(buffer, waiting):
    sleep(0)
    assert not waiting.ready()
    for change in (buffer.clear, lambda: buffer.extend(b"more")):
        with pytest.raises(BufferError):
            change()


def check_free(buffer):
    """Check that the buffer can be resized, though the test may keep an error, and with it the frames of the call."""
    buffer.extend(b"more")
    buffer.clear()


@pytest.mark.parametrize("how", RECEIVING)
def test_a_buffer_is_held_while_a_receive_waits(sockets, how):
    ours, theirs = sockets
    buffer = bytearray(8)
    waiting = spawn(RECEIVING[how], ours, buffer)
    check_held(buffer, waiting)
    if how.endswith("all"):
        theirs.send(b"1234")
        check_held(buffer, waiting)
        theirs.send(b"5678")
    else:
        theirs.send(b"12345678")
    assert waiting.get(timeout=10) == 8 and buffer == b"12345678"
    check_free(buffer)


@pytest.mark.parametrize("how", RECEIVING)
def test_a_buffer_is_free_after_a_receive_was_killed(sockets, how):
    ours, theirs = sockets
    buffer = bytearray(8)
    kept = []

    def receive():
        try:
            RECEIVING[how](ours, buffer)
        except BaseException as error:
            kept.append(error)

    waiting = spawn(receive)
    check_held(buffer, waiting)
    theirs.send(b"1234") if how.endswith("all") else None
    sleep(0)
    waiting.kill()
    assert kept
    check_free(buffer)


def test_the_list_of_buffers_may_change_while_a_receive_waits(sockets):
    ours, theirs = sockets
    buffers = [bytearray(4), bytearray(4)]
    first, second = buffers
    waiting = spawn(ours.recvmsg_into, buffers)
    sleep(0)
    buffers.clear()
    theirs.send(b"12345678")
    assert waiting.get(timeout=10)[0] == 8 and (first, second) == (b"1234", b"5678")


@pytest.mark.parametrize("method", ["send", "sendall", "sendmsg"])
def test_a_buffer_is_held_while_a_send_waits(sockets, method):
    ours, theirs = sockets
    ours.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            ours.send(b"x" * 65536)
    ours.setblocking(True)
    buffer = bytearray(b"12345678")
    waiting = spawn(getattr(ours, method), [buffer] if method == "sendmsg" else buffer)
    check_held(buffer, waiting)
    while not waiting.ready():
        theirs.recv(1 << 20)
        sleep(0)
    assert waiting.get() == (None if method == "sendall" else 8)
    check_free(buffer)


def test_buffers_are_held_while_files_wait(pipe):
    """Also the buffer of a call that waits for its turn."""
    reader, writer = pipe
    with FileObjectPosix(reader, "rb", closefd=False) as file:
        buffers = [bytearray(4), bytearray(4)]
        waiting = [spawn(file.readinto, buffer) for buffer in buffers]
        for job, buffer in zip(waiting, buffers, strict=True):
            check_held(buffer, job)
        standard.write(writer, b"12345678")
        assert [job.get(timeout=10) for job in waiting] == [4, 4] and buffers == [b"1234", b"5678"]
        for buffer in buffers:
            check_free(buffer)


def test_a_buffer_is_held_while_a_write_to_a_pipe_waits(pipe):
    reader, writer = pipe
    buffer = bytearray(100_000)
    kept = []

    def write():
        try:
            os.write(writer, buffer)
        except BaseException as error:
            kept.append(error)

    waiting = spawn(write)
    check_held(buffer, waiting)
    waiting.kill()
    assert kept
    check_free(buffer)


def test_buffers_are_held_while_tls_waits(sockets, server_context, client_context):
    ours, theirs = sockets
    serving = spawn(server_context.wrap_socket, theirs, server_side=True)
    with client_context.wrap_socket(ours, server_hostname="localhost") as client, serving.get() as server:
        for drained in (False, True):
            buffer = bytearray(8)
            waiting = spawn(client.recv_into, buffer)
            check_held(buffer, waiting)
            server.send(b"1234")
            assert waiting.get(timeout=10) == 4, f"drained before: {drained}"
            check_free(buffer)
        writing = spawn(client.sendall, bytes(3_000_000))
        buffer = bytearray(b"12345678")
        waiting = spawn(client.send, buffer)  # waits for its turn to write
        check_held(buffer, waiting)
        received = 0
        while received < 3_000_008:
            received += len(server.recv(1 << 20))
        assert writing.get() is None and waiting.get() == 8
        check_free(buffer)
