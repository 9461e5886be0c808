"""redis-py against a real server."""

import contextlib

import redis
from together import together, until

import greenio

COUNT = 50


def client(port, **options):
    return redis.Redis(port=int(port), decode_responses=True, **options)


def blocked(server):
    return int(server.info("clients")["blocked_clients"])


def many_wait_at_once(port):
    """BLPOP in many greenlets: the server counts the blocked clients."""
    server = client(port)
    server.delete("list")
    waiting = [greenio.spawn(server.blpop, "list", timeout=30) for _ in range(COUNT)]
    until(lambda: blocked(server) == COUNT)
    server.rpush("list", *range(COUNT))
    got = sorted(int(job.get()[1]) for job in waiting)
    print(got == list(range(COUNT)), len(server.client_list()) >= COUNT)
    print(server.blpop("list", timeout=0.05))
    server.close()


def counting(port):
    server = client(port)
    server.delete("counter")
    together(COUNT, lambda number: [server.incr("counter") for _ in range(20)])
    print(server.get("counter"))
    with server.pipeline() as pipeline:
        pipeline.set("a", 1).incrby("a", 4).get("a")
        print(pipeline.execute())

    def add(number):
        with server.lock("a lock", timeout=30):
            value = int(server.get("a"))
            greenio.sleep(0)
            server.set("a", value + 1)

    together(10, add)
    print(server.get("a"))
    server.close()


def publish(port):
    server = client(port)
    with server.pubsub() as listener, server.pubsub() as threaded:
        listener.subscribe("news")
        print(listener.get_message(timeout=5)["type"])
        print(listener.get_message(timeout=0.05))
        heard = greenio.spawn(lambda: next(iter(listener.listen()))["data"])
        greenio.sleep(0)
        other = []
        threaded.subscribe(news=lambda message: other.append(message["data"]))
        thread = threaded.run_in_thread(sleep_time=0.01, daemon=True)
        until(lambda: server.pubsub_numsub("news")[0][1] == 2)
        server.publish("news", "something")
        print(heard.get(), until(lambda: other))
        thread.stop()
        thread.join()
        reading = greenio.spawn(lambda: next(iter(listener.listen())))
        greenio.sleep(0.01)
        reading.kill()
        server.publish("news", "more")
        print(listener.get_message(timeout=5)["data"])
    server.close()


def pools(port):
    server = client(port)
    before = len(server.client_list())  # other tests' clients may keep theirs
    limited = client(port, max_connections=2)
    busy = [greenio.spawn(limited.blpop, "never", timeout=30) for _ in range(2)]
    until(lambda: blocked(server) == 2)
    try:
        limited.ping()
    except redis.exceptions.ConnectionError as error:
        print(type(error).__name__, error)
    # A kill in the middle of a command closes the connection, which would have that command's answer in it.
    greenio.killall(busy)
    until(lambda: blocked(server) == 0)
    server.rpush("never", "leftover")
    print(limited.ping(), limited.echo("x"), server.lpop("never"))

    pool = redis.BlockingConnectionPool(port=int(port), max_connections=5, timeout=0.05, decode_responses=True)
    waiting = redis.Redis(connection_pool=pool)
    busy = [greenio.spawn(waiting.blpop, "never", timeout=30) for _ in range(5)]
    until(lambda: blocked(server) == 5)
    try:
        waiting.ping()
    except redis.exceptions.ConnectionError as error:
        print(type(error).__name__, error)
    pool.timeout = 30
    many = [greenio.spawn(waiting.echo, str(number)) for number in range(COUNT)]
    greenio.sleep(0)
    server.rpush("never", *range(5))
    greenio.joinall(busy + many, raise_error=True)
    # Two connections of `limited`, five of `pool`. The server may not have closed the killed one yet.
    until(lambda: len(server.client_list()) <= before + 7)
    print([job.value for job in many] == [str(number) for number in range(COUNT)])
    for each in (server, limited, waiting):
        each.close()
    pool.disconnect()


def unhappy(port):
    server = client(port)
    slow = client(port, socket_timeout=0.05, retry=None)
    try:
        slow.blpop("never", timeout=30)
    except redis.exceptions.TimeoutError:
        print("timeout")
    slow.close()
    until(lambda: blocked(server) == 0)
    with contextlib.closing(client(port, retry=None)) as gone:
        waiting = greenio.spawn(gone.blpop, "never", timeout=30)
        waiting.reports_errors = False
        until(lambda: blocked(server) == 1)
        for each in server.client_list():
            if each["cmd"] == "blpop":
                server.client_kill_filter(_id=each["id"])
        try:
            waiting.get()
        except redis.exceptions.ConnectionError:
            print("gone")
    with greenio.Timeout(0.05, False):
        server.blpop("never", timeout=30)
    print(server.ping())
    server.close()
