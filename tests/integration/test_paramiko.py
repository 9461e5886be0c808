"""paramiko: many channels of one connection, and connections that end."""

import pytest

pytest.importorskip("paramiko")


def test_many_channels_of_one_connection(run_program):
    assert run_program("ssh", "many_channels") == "True\nTrue\nTrue\n"


def test_timeouts_kills_and_servers_that_hang_up(run_program):
    assert run_program("ssh", "unhappy") == "refused\ntimeout\nafter\nb'' False\n"
