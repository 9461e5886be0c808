"""A program that uses every public module, for a type checker, which must find the expected types. It is not run."""

import socket as standard_socket
import ssl as standard_ssl
import threading as standard_threading
from collections.abc import Iterator
from types import ModuleType

import hub
from typing_extensions import assert_type

import greenio
from greenio import (
    baseserver,
    event,
    events,
    fcntl,
    fileobject,
    fs,
    local,
    lock,
    monkey,
    os,
    pool,
    queue,
    select,
    selectors,
    server,
    signal,
    socket,
    ssl,
    subprocess,
    taskgroup,
    thread,
    threading,
    threadpool,
    time,
    timeout,
    util,
)
from greenio._patched import signal_handlers
from greenio._sync import condition, mutex, semaphore
from greenio._tasks import choosing, deadline, imap, program, spawning, waiting
from greenio.config import config
from greenio.contrib import kombu, psycopg, psycopg2
from greenio.monkey import imports, patching, standard
from greenio.resolver import ares, base, dnspython, hosts, make_resolver, names, numeric
from greenio.resolver import thread as resolver_thread

# --- sockets, also where standard ones are wanted --------------------------------------------------------------------


def of_a_standard_one(sock: standard_socket.socket) -> int:
    return sock.fileno()


def of_ours(sock: socket.socket) -> int:
    return sock.fileno()


def of_standard_tls(sock: standard_ssl.SSLSocket, context: standard_ssl.SSLContext) -> str | None:
    return sock.version()


def sockets(plain: standard_socket.socket) -> None:
    sock = socket.create_connection(("127.0.0.1", 80), 3, all_errors=True, happy_eyeballs_delay=0.25)
    assert_type(sock, socket.socket)
    assert_type(sock.accept()[0], socket.socket)
    assert_type(sock.dup(), socket.socket)
    assert_type(sock.timeout, float | None)
    assert_type(socket.socketpair(), tuple[socket.socket, socket.socket])
    assert_type(socket.fromfd(3, socket.AF_INET, socket.SOCK_STREAM), socket.socket)
    assert_type(socket.create_server(("127.0.0.1", 0)), socket.socket)
    of_a_standard_one(sock)
    of_ours(plain)  # type: ignore[arg-type]
    assert_type(sock.recv(1), bytes)
    assert_type(sock.sendto(b"", ("127.0.0.1", 80)), int)
    socket.wait_read(sock, timeout=1.5, timeout_exc=OSError("late"))
    socket.wait_write(sock.fileno(), 1, timeout.Timeout)
    socket.wait_readwrite(plain, event=None)
    socket.wait_read("3")  # type: ignore[arg-type]
    socket.cancel_wait(hub.get_hub().loop.io(3, 1), OSError("over"))
    socket.create_connection(("127.0.0.1", 80), happy_eyeballs_delay="soon")  # type: ignore[arg-type]


def tls(sock: socket.socket, plain: standard_socket.socket) -> None:
    context = ssl.create_default_context()
    wrapped = context.wrap_socket(sock, server_hostname="greenio.test")
    assert_type(wrapped, ssl.SSLSocket)
    assert_type(context.wrap_socket(plain), standard_ssl.SSLSocket)
    assert_type(wrapped.accept()[0], ssl.SSLSocket)
    assert_type(wrapped.unwrap(), socket.socket)
    assert_type(wrapped.read(), bytes)
    assert_type(wrapped.read(3, bytearray(3)), int)
    assert_type(wrapped.context, ssl.SSLContext)
    assert_type(ssl.get_server_certificate(("127.0.0.1", 443), timeout=None), str)
    assert_type(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_socket(sock), ssl.SSLSocket)
    of_ours(wrapped)
    of_standard_tls(wrapped, context)


# --- greenlets, and where they meet ----------------------------------------------------------------------------------


def add(first: int, second: int = 0) -> int:
    return first + second


def greenlets() -> None:
    one = greenio.spawn(add, 1, second=2)
    assert_type(one, greenio.Greenlet)
    assert_type(greenio.joinall([one], timeout=1), list[greenio.Greenlet])
    assert_type(waiting.wait([one]), list[greenio.Greenlet])
    assert_type(waiting.wait(timeout=1), bool)
    for finished in greenio.iwait([one, spawning.spawn_later(1, add, 1)]):
        assert_type(finished, greenio.Greenlet)
    assert_type(choosing.wait_any(one)[0] is one, bool)
    assert_type(timeout.with_timeout(1, add, 1), int)
    assert_type(program.getswitchinterval(), float)
    greenio.kill(one, KeyboardInterrupt)
    group = pool.Pool(3)
    assert_type(group.map(str, [1, 2]), list[str])
    assert_type(group.spawn(add, 1), greenio.Greenlet)
    assert_type(group.imap(add, [1], [2]), imap.IMap[int])
    assert_type(next(group.imap_unordered(add, [1], maxsize=3)), int)
    assert_type(group.apply(add, (1,), {"second": 2}), int)
    with taskgroup.TaskGroup() as tasks:
        assert_type(tasks.spawn(add, 1), greenio.Greenlet)
    with deadline.move_on_after(1.5) as end:
        assert_type(end, deadline.move_on_after)
    assert_type(end.expired, bool)
    assert_type(end.remaining, float | None)


def returns_from_a_block() -> int:
    # These blocks never swallow an exception, so the function always returns.
    with deadline.fail_after(1), taskgroup.TaskGroup(), util.no_switch():
        return 1


def meeting() -> None:
    happened = event.Event()
    assert_type(happened.wait(1), bool)
    assert_type(event.AsyncResult().ready(), bool)
    with lock.RLock() as held, mutex.Lock(), semaphore.Semaphore(3), lock.Condition():
        assert_type(held, bool)
    assert_type(condition.Barrier(2).wait(), int)
    items: queue.Queue[str] = queue.Queue(3)
    assert_type(items.get(timeout=1), str)
    mine = local.local()
    mine.anything = 1
    assert_type(util.format_run_info(), list[str])
    assert_type(util.wrap_errors(OSError, add)(1), int | OSError)
    with util.assert_switches(1.0), util.no_switch():
        pass


def threads() -> None:
    workers = threadpool.ThreadPool(3)
    assert_type(workers.spawn(add, 1), threadpool.ThreadResult)
    assert_type(workers.apply(add, (1,)), int)
    assert_type(hub.get_hub().threadpool.apply(add, (1,)), int)
    assert_type(workers.map(str, [1]), list[str])
    with threadpool.ThreadPoolExecutor(1) as executor:
        assert_type(executor.submit(add, 1, second=2).result(), int)
        executor.submit(add, "1")  # type: ignore[arg-type]
    assert_type(thread.start_new_thread(add, (1,)), int)
    native: standard_threading.Thread = threading.NativeThread(target=add)
    native.start()


# --- descriptors, files, processes, signals --------------------------------------------------------------------------


def descriptors(sock: socket.socket) -> None:
    readable, writable, _ = select.select([sock], [3], [], 1)
    assert_type(readable, list[socket.socket])
    assert_type(writable, list[int])
    assert_type(select.poll().poll(10), list[tuple[int, int]])
    assert_type(selectors.DefaultSelector().fileno(), int)
    assert_type(os.read(3, 10), bytes)
    assert_type(os.waitpid(1, os.WNOHANG), tuple[int, int])
    fcntl.flock(sock, fcntl.LOCK_EX)
    assert_type(fs.read_text("/etc/hosts"), str)
    assert_type(fileobject.FileObject(3, "rb").fileio is None, bool)
    run = subprocess.Popen(["true"], text=True, stdout=subprocess.PIPE)
    assert_type(run, subprocess.Popen[str])
    assert_type(run.wait(1), int)
    number: signal.Signals = signal.SIGTERM
    signal_handlers.signal(number, signal.SIG_IGN)
    time.sleep(0.1)
    assert_type(os.getpid(), int)


class Echo(server.StreamServer):
    def handle(self, sock: socket.socket, address: object) -> None:
        sock.sendall(sock.recv(100))


def answer(sock: socket.socket, address: object) -> None:
    sock.sendall(b"")


def servers(listener: standard_socket.socket) -> None:
    assert_type(baseserver.parse_address("[::1]:80")[0], socket.AddressFamily)
    for each in (server.StreamServer(("", 80), answer, spawn=pool.Pool(3)), Echo(listener, spawn=10)):
        with each as started:
            assert_type(started.server_port, int | None)


# --- the hub, names, settings ----------------------------------------------------------------------------------------


def hubs() -> None:
    current = greenio.get_hub()
    assert_type(current, hub.Hub)
    timer = current.loop.timer(1.5)
    assert_type(timer.active, bool)
    assert_type(current.loop.child(1).rpid, int | None)
    current.wait(timer)
    current.threadpool = threadpool.ThreadPool(3)
    current.resolver = make_resolver(current)
    assert_type(current.resolver.gethostbyname("localhost"), str)
    current.exception_stream = None
    assert_type(current.format_waits(), str)
    for made in (resolver_thread.Resolver(current), ares.Resolver(current), dnspython.Resolver(current)):
        current.resolver = made
        assert_type(made.gethostbyname_ex("localhost"), tuple[str, list[str], list[str]])
    assert_type(base.failure(1), socket.gaierror)
    assert_type(hosts.Hosts().find("localhost"), hosts.Found | None)
    assert_type(names.seconds_for_one_try(), float | None)
    assert_type(numeric.is_ipv4("127.0.0.1"), bool)
    assert_type(config.resolver_timeout, float | None)
    config.resolver_nameservers = ["127.0.0.1"]
    config.resolver_timeout = "3.5"
    config.resolver_time = 3  # type: ignore[attr-defined]
    assert_type(greenio.__version__, str)


# --- patching --------------------------------------------------------------------------------------------------------


def told(happened: events.PatchEvent) -> None:
    if isinstance(happened, events.WillPatchModuleEvent):
        assert_type(happened.module_name, str)
        raise events.DoNotPatch


def imported(module: ModuleType) -> None:
    psycopg.adapt(module)
    kombu.adapt(module)


def patch() -> Iterator[bool | None]:
    events.subscribers.append(told)
    yield monkey.patch_all(thread=False, psycopg=False)
    yield monkey.patch_socket(dns=False)
    yield standard.patch_time()
    yield monkey.is_module_patched("socket")
    monkey.get_original("time", ["sleep"])[0](1)
    monkey.when_imported("psycopg", imported)
    imports.when_imported("psycopg", psycopg2.adapt, always=True)
    patching.patch_module(standard_socket, standard_ssl, items=["socket"])
    monkey.patch_all("yes")  # type: ignore[arg-type]
