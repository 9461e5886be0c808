"""pyuv handles on the hub's loop fire while greenlets run, and cannot take the hub down."""

import socket as standard
import sys

import pytest
from hub import Wait, pyuv
from waiting import until

from greenio import get_hub, getcurrent, sleep, spawn
from greenio.socket import socketpair


@pytest.fixture
def uv():
    return get_hub().loop.uv


def closed(handle):
    """Close a pyuv handle and wait until libuv has let it go."""
    wait = Wait(f"the end of {handle!r}")
    handle.close(lambda _handle: wait.wake())
    wait.park(timeout=30)


def test_it_is_pyuv_on_the_hubs_own_loop(uv):
    assert isinstance(uv, pyuv.Loop)
    assert get_hub().loop.uv is uv
    assert pyuv.__version__ == "1.4.0"
    assert get_hub().loop.version in pyuv.LIBUV_VERSION


def test_a_timer_fires_beside_a_busy_greenlet(uv):
    fired = []

    def worker():
        while not fired:
            sleep(0)

    busy = spawn(worker)
    timer = pyuv.Timer(uv)
    timer.start(lambda handle: fired.append((handle is timer, getcurrent() is get_hub())), 0.005, 0)
    busy.join(timeout=30)
    assert fired == [(True, True)]
    closed(timer)


def test_a_udp_handle_receives_a_datagram(uv):
    server, got = pyuv.UDP(uv), []
    wait = Wait("a datagram")
    server.bind(("127.0.0.1", 0))
    server.start_recv(lambda handle, address, flags, data, error: (got.append((data, error)), wait.wake()))
    client = standard.socket(standard.AF_INET, standard.SOCK_DGRAM)
    client.sendto(b"datagram", server.getsockname())
    wait.park(timeout=30)
    assert got == [(b"datagram", None)]
    client.close()
    closed(server)


def test_a_change_of_a_folder_is_told(uv, tmp_path):
    event, names = pyuv.fs.FSEvent(uv), []
    wait = Wait("a change of the folder")

    def on_event(handle, name, events, error):
        names.append(name)
        wait.wake()

    event.start(str(tmp_path), 0, on_event)
    (tmp_path / "new").write_text("x")
    wait.park(timeout=30)
    assert names[0] == "new"
    closed(event)


def test_the_end_of_a_process_is_told(uv):
    wait = Wait("the end of a process")
    process = pyuv.Process.spawn(
        uv,
        args=[sys.executable, "-c", "raise SystemExit(3)"],
        exit_callback=lambda handle, status, number: wait.wake((status, number)),
    )
    assert wait.park(timeout=30) == (3, 0)
    closed(process)


def test_greenlets_are_served_meanwhile(uv):
    """A repeating pyuv timer and greenlets with sockets and sleeps do not disturb each other."""
    count = []
    timer = pyuv.Timer(uv)
    timer.start(lambda handle: count.append(1), 0.001, 0.001)
    ours, theirs = socketpair()
    for number in range(20):
        spawn(theirs.sendall, b"%d" % (number % 10))
        assert ours.recv(1) == b"%d" % (number % 10)
        sleep(0.0005)
    assert len(count) > 2
    ours.close()
    theirs.close()
    closed(timer)


def test_errors_of_callbacks_go_to_handle_error(uv, errors):
    timer = pyuv.Timer(uv)
    timer.start(lambda handle: 1 / 0, 0.001, 0)
    until(errors.getvalue)
    assert "ZeroDivisionError" in errors.getvalue()
    closed(timer)


def test_blocking_in_a_callback_is_a_named_error(uv, errors):
    timer = pyuv.Timer(uv)
    timer.start(lambda handle: sleep(1), 0.001, 0)
    until(errors.getvalue)
    assert "BlockingSwitchOutError" in errors.getvalue()
    closed(timer)


def test_a_callback_that_spawns_and_wakes(uv):
    wait, results = Wait(), []
    timer = pyuv.Timer(uv)

    def on_timer(handle):
        spawn(lambda: (sleep(0.001), results.append("spawned"), wait.wake()))

    timer.start(on_timer, 0.001, 0)
    wait.park(timeout=30)
    assert results == ["spawned"]
    closed(timer)


def test_an_active_handle_keeps_the_loop_alive(uv):
    timer = pyuv.Timer(uv)
    timer.start(lambda handle: None, 60, 0)
    assert get_hub().join(timeout=0.001) is False
    timer.ref = False
    assert get_hub().join(timeout=5) is True
    closed(timer)


def test_the_collector_never_sees_a_handle_that_is_taken_apart(run_script):
    assert run_script("collected_pyuv.py") == "collected\n"
