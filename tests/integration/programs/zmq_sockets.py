"""pyzmq in a patched program: calls that wait let other greenlets run. Each function prints "done" at its end."""

import os
import threading
import time

import zmq

import greenio


def _pair(context, *kinds, **options):
    first = context.socket(kinds[0])
    second = context.socket(kinds[1])
    for sock in (first, second):
        for name, value in options.items():
            setattr(sock, name, value)
        sock.linger = 0
    port = first.bind_to_random_port("tcp://127.0.0.1")
    second.connect(f"tcp://127.0.0.1:{port}")
    return first, second


def _in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def waits_for_messages():
    with zmq.Context() as context:
        server, client = _pair(context, zmq.REP, zmq.REQ)

        def answers():
            for _ in range(100):
                server.send_json([server.recv_json()])

        thread = _in_thread(answers)
        for number in range(100):
            client.send_json(number)
            assert client.recv_json() == [number]
        thread.join()
        ticking = greenio.spawn(lambda: [greenio.sleep(0.001) for _ in range(10)])
        thread = _in_thread(lambda: (ticking.join(), client.send(b"x", copy=False)))
        assert server.recv(copy=False).bytes == b"x"
        thread.join()
        server.close()
        client.close()
    print("done")


def waits_for_room():
    with zmq.Context() as context:
        sink, source = _pair(context, zmq.PULL, zmq.PUSH, sndhwm=10, rcvhwm=10)
        got = []

        def takes():
            time.sleep(0.02)
            while len(got) < 2000:
                got.append(len(sink.recv_multipart()[1]))

        thread = _in_thread(takes)
        for _ in range(2000):
            source.send_multipart([b"", bytes(10_000)])
        thread.join()
        assert got == [10_000] * 2000
        sink.close()
        source.close()
    print("done")


def timeouts():
    with zmq.Context() as context:
        sink, source = _pair(context, zmq.PULL, zmq.PUSH)
        sink.rcvtimeo = 20
        for call in (sink.recv, lambda: sink.recv(zmq.NOBLOCK), lambda: sink.recv(flags=zmq.NOBLOCK)):
            try:
                call()
            except zmq.Again:
                continue
            raise AssertionError
        alone = context.socket(zmq.PUSH)
        alone.sndtimeo = 20
        try:
            alone.send(b"")
        except zmq.Again:
            pass
        else:
            raise AssertionError
        start = time.monotonic()
        assert sink.poll(20) == 0 and 0.01 < time.monotonic() - start < 5
        sink.rcvtimeo = -1
        with greenio.Timeout(0.01, False):
            sink.recv()
            raise AssertionError
        waiting = greenio.spawn(sink.recv)
        greenio.sleep(0.001)
        waiting.kill()
        source.send(b"x")
        assert sink.recv() == b"x"
        for each in (sink, source, alone):
            each.close()
    print("done")


def polls():
    with zmq.Context() as context:
        sink, source = _pair(context, zmq.PULL, zmq.PUSH)
        reader, writer = os.pipe()
        poller = zmq.Poller()
        poller.register(sink, zmq.POLLIN)
        poller.register(reader, zmq.POLLIN)
        thread = _in_thread(lambda: (time.sleep(0.005), os.write(writer, b"x")))
        assert poller.poll() == [(reader, zmq.POLLIN)]
        thread.join()
        os.read(reader, 1)
        thread = _in_thread(lambda: (time.sleep(0.005), source.send(b"x")))
        assert poller.poll() == [(sink, zmq.POLLIN)]
        assert zmq.select([sink], [source], []) == ([sink], [source], [])
        thread.join()
        assert poller.poll(0) and sink.recv() == b"x" and not poller.poll(0) and not poller.poll(5)
        os.close(reader)
        os.close(writer)
        sink.close()
        source.close()
    print("done")


def one_sends_and_another_receives():
    """Two greenlets use one socket: an event that libzmq reports to one of them is not lost to the other."""
    with zmq.Context() as context:
        left, right = _pair(context, zmq.PAIR, zmq.PAIR, sndhwm=2, rcvhwm=2)
        count, got = 300, {left: 0, right: 0}

        def sends(sock):
            for _ in range(count):
                sock.send(bytes(5000))

        def receives(sock):
            for _ in range(count):
                sock.recv()
                got[sock] += 1

        threads = [_in_thread(each, sock) for sock in (left, right) for each in (receives, sends)]
        for each in threads:
            each.join()
        assert got == {left: count, right: count}
        left.close()
        right.close()
    print("done")


def closed_and_ended_while_others_wait():
    context = zmq.Context()
    sink, source = _pair(context, zmq.PULL, zmq.PUSH)
    other = context.socket(zmq.PULL)
    errors = []

    def receives(sock):
        try:
            sock.recv()
        except zmq.ZMQError as error:
            errors.append(error.errno)
            sock.close()

    def polls(sock):
        try:
            sock.poll()
        except zmq.ZMQError as error:
            errors.append(error.errno)

    threads = [_in_thread(receives, sink), _in_thread(polls, sink), _in_thread(receives, other)]
    time.sleep(0.005)
    sink.close()
    threads[0].join()
    threads[1].join()
    assert errors == [zmq.ENOTSOCK] * 2, errors
    source.close()
    context.term()  # meanwhile the greenlet that receives gets an error, and closes the socket
    threads[2].join()
    assert errors[2:] == [zmq.ETERM] and context.closed
    print("done")


def proxies():
    with zmq.Context() as context:
        front, asks = _pair(context, zmq.ROUTER, zmq.REQ)
        back, answers = _pair(context, zmq.DEALER, zmq.REP)
        control, steers = _pair(context, zmq.PAIR, zmq.PAIR)
        capture, sees = _pair(context, zmq.PUB, zmq.SUB)
        sees.subscribe(b"")
        thread = _in_thread(zmq.proxy_steerable, front, back, capture, control)
        thread_of_answers = _in_thread(lambda: [answers.send(answers.recv() + b"!") for _ in range(50)])
        for _ in range(50):
            asks.send(b"hello")
            assert asks.recv() == b"hello!"
        thread_of_answers.join()
        steers.send(b"STATISTICS")
        numbers = [int.from_bytes(each, "little") for each in steers.recv_multipart()]
        assert numbers[::2] == [50] * 4, numbers
        steers.send(b"PAUSE")
        asks.send(b"again")
        assert not answers.poll(10)
        steers.send(b"RESUME")
        assert answers.recv() == b"again"
        steers.send(b"TERMINATE")
        thread.join()
        killed = greenio.spawn(zmq.proxy, front, back)
        answers.send(b"end")
        assert asks.recv() == b"end"
        killed.kill()
        ended = greenio.Greenlet.spawn(zmq.proxy, front, front)
        ended.reports_errors = False
        greenio.sleep(0.001)
        front.close()
        try:
            ended.get(timeout=5)
        except zmq.ZMQError as error:
            assert error.errno == zmq.ENOTSOCK
        for each in (asks, back, answers, control, steers, capture, sees):
            each.close()
    print("done")


def with_asyncio():
    import asyncio

    import zmq.asyncio

    async def main():
        context = zmq.asyncio.Context()
        sink, source = _pair(context, zmq.PULL, zmq.PUSH)
        waiting = asyncio.ensure_future(sink.recv_multipart())
        await asyncio.sleep(0.001)
        await source.send_multipart([b"a", b"b"])
        assert await waiting == [b"a", b"b"]
        assert await sink.poll(5) == 0
        sink.close()
        source.close()
        context.term()

    threads = [_in_thread(asyncio.run, main()) for _ in range(3)]
    for each in threads:
        each.join()
    print("done")
