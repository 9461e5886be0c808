"""psycopg 3, psycopg2, psycopg_pool and SQLAlchemy's pool, and greenio.contrib's adapters for them."""

import pytest

BOTH = pytest.mark.parametrize("library", ["psycopg", "psycopg2"])


@pytest.fixture
def run(run_program, postgresql):
    def run(function, *args, library="psycopg", **options):
        pytest.importorskip(library)
        return run_program("postgresql_clients", function, *args, **options)

    return run


@BOTH
def test_many_queries_at_once(run, library, postgresql):
    assert run("many_wait_at_once", library, postgresql, library=library) == "True\n"


@BOTH
def test_transactions_of_many_greenlets_do_not_mix(run, library, postgresql):
    assert run("transactions", library, postgresql, library=library) == "50\n100000\nDivisionByZero\n"


@BOTH
def test_cancelled_queries_raise_and_their_connection_is_usable(run, library, postgresql):
    assert run("cancelled", library, postgresql, library=library) == "QueryCanceled\nusable\nTrue True\n"


@BOTH
@pytest.mark.parametrize("how, raised", [("kill", "GreenletExit"), ("timeout", "Timeout")])
def test_a_kill_or_timeout_ends_a_query(run, library, how, raised, postgresql):
    states = {
        "psycopg": "the server was told\nusable",
        "psycopg2": "the server goes on\nInterfaceError, closed: True",
    }
    assert run("killed", library, postgresql, how, library=library) == f"{raised}\n{states[library]}\n"


def test_closing_a_connection_ends_another_greenlets_wait(run, postgresql):
    assert run("closed_by_another", postgresql) == "OperationalError\n"


def test_notifications_are_waited_for(run, postgresql):
    assert run("notifications", postgresql) == "[]\n['0', '1', '2']\nIDLE\n"


def test_copy_pipelines_and_cursors(run, postgresql):
    assert run("copying", postgresql) == "True\nTrue\n20100\n"


def test_the_pool_of_psycopg(run, postgresql):
    pytest.importorskip("psycopg_pool")
    assert run("pooled", postgresql) == "True True\nexhausted\n7\nTrue\n"


@BOTH
def test_the_pool_of_sqlalchemy(run, library, postgresql):
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    port = dict(each.split("=") for each in postgresql.split())["port"]
    url = f"postgresql+{library}://postgres@127.0.0.1:{port}/postgres"
    printed = run("sqlalchemy_pool", url, postgresql, library=library)
    assert printed == "True 5\nexhausted\n7\nTrue 0\n"


@BOTH
@pytest.mark.parametrize("first", [False, True], ids=["imported after", "imported before"])
def test_a_library_is_adapted_before_and_after_its_import(run, library, first, postgresql):
    options = [f"--import={library}"] if first else []
    assert run("adapted", library, postgresql, library=library, options=options) == "True\nTrue\n"


@BOTH
def test_the_adapter_is_switched_off_by_an_argument(run, library, postgresql):
    options = [f"--no-{library}"]
    assert run("adapted", library, postgresql, library=library, options=options) == "False\nFalse\n"


@BOTH
@pytest.mark.parametrize("names", ["kombu, {}", "all"])
def test_the_adapter_is_switched_off_in_the_environment(run, library, names, postgresql):
    env = {"GREENIO_NO_ADAPTERS": names.format(library)}
    assert run("adapted", library, postgresql, library=library, env=env) == "False\nFalse\n"
