"""PyMySQL, by itself and below SQLAlchemy's pool."""

import pytest

pytest.importorskip("pymysql")


def test_many_queries_at_once(run_program, mariadb_port):
    assert run_program("mariadb_client", "many_wait_at_once", mariadb_port) == "True\n"


def test_transactions_of_many_greenlets_do_not_mix(run_program, mariadb_port):
    assert run_program("mariadb_client", "transactions", mariadb_port) == "50\n20000\n"


def test_timeouts_kills_and_servers_that_hang_up(run_program, mariadb_port):
    printed = run_program("mariadb_client", "unhappy", mariadb_port)
    assert printed == "2013 False\n2013 False\nInterfaceError False\n"


def test_the_pool_of_sqlalchemy(run_program, mariadb_port):
    pytest.importorskip("sqlalchemy")
    printed = run_program("mariadb_client", "sqlalchemy_pool", mariadb_port)
    assert printed == "True 5\nexhausted\n7\nTrue 0\n"
