"""redis-py: blocking commands side by side, publish and subscribe, pools, and connections that end."""

import pytest

pytest.importorskip("redis")


def test_many_blocking_commands_wait_at_once(run_program, redis_port):
    assert run_program("redis_client", "many_wait_at_once", redis_port) == "True True\nNone\n"


def test_commands_pipelines_and_locks(run_program, redis_port):
    assert run_program("redis_client", "counting", redis_port) == "1000\n[True, 5, '5']\n15\n"


def test_publish_and_subscribe(run_program, redis_port):
    printed = run_program("redis_client", "publish", redis_port)
    assert printed == "subscribe\nNone\nsomething ['something']\nmore\n"


def test_pools_of_connections(run_program, redis_port):
    lines = run_program("redis_client", "pools", redis_port).splitlines()
    assert lines == [
        "MaxConnectionsError Too many connections",
        "True x leftover",
        "ConnectionError No connection available.",
        "True",
    ]


def test_timeouts_kills_and_servers_that_hang_up(run_program, redis_port):
    assert run_program("redis_client", "unhappy", redis_port) == "timeout\ngone\nTrue\n"
