"""psycopg 3, psycopg2, psycopg_pool and SQLAlchemy against a real server.

That queries overlap is seen by the server: as many as there are greenlets wait for one advisory lock of its.
"""

import sys

from together import together, until

import greenio
from greenio.contrib import psycopg2 as psycopg2_adapter

COUNT = 30
LOCK = "select pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1)"


def psycopg_connect(dsn):
    import psycopg

    return psycopg.connect(dsn, autocommit=True)


def psycopg2_connect(dsn):
    import psycopg2

    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    return connection


CONNECT = {"psycopg": psycopg_connect, "psycopg2": psycopg2_connect}


def ask(connection, query, *args):
    with connection.cursor() as cursor:
        cursor.execute(query, *args)
        return cursor.fetchone()[0]


def waiting_for_lock(connection):
    return ask(connection, "select count(*) from pg_locks where locktype = 'advisory' and not granted")


def sleeping(connection):
    return ask(connection, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'")


class Locked:
    """Holds the advisory lock that the others wait for."""

    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        ask(self.connection, "select pg_advisory_lock(1)")
        return self

    def __exit__(self, *exc_info):
        ask(self.connection, "select pg_advisory_unlock(1)")


def many_wait_at_once(library, dsn):
    connect = CONNECT[library]

    def query(number):
        connection = connect(dsn)
        ask(connection, LOCK)
        got = ask(connection, "select %s::int", (number,))
        connection.close()
        return got

    control = connect(dsn)
    with Locked(control):
        jobs = [greenio.spawn(query, number) for number in range(COUNT)]
        until(lambda: waiting_for_lock(control) == COUNT)
    print([job.get() for job in jobs] == list(range(COUNT)))
    control.close()


def transactions(library, dsn):
    connect = CONNECT[library]
    control = connect(dsn)
    control.cursor().execute("drop table if exists accounts; create table accounts (name text, amount int)")
    control.cursor().execute("insert into accounts values ('one', 0)")

    def add(number):
        connection = connect(dsn)
        connection.autocommit = False
        for _ in range(5):
            amount = ask(connection, "select amount from accounts where name = 'one' for update")
            connection.cursor().execute("update accounts set amount = %s", (amount + 1,))
            (connection.rollback if number % 2 else connection.commit)()
        connection.close()

    together(20, add)
    print(ask(control, "select amount from accounts"))
    with control.cursor() as cursor:
        cursor.execute("select * from generate_series(1, 100000)")
        print(len(cursor.fetchall()))
        try:
            cursor.execute("select 1 / 0")
        except Exception as error:
            print(type(error).__name__)
    control.close()


def cancelled(library, dsn):
    """One greenlet cancels a query, while another waits for the same connection."""
    connect = CONNECT[library]
    control, connection = connect(dsn), connect(dsn)
    query = greenio.spawn(ask, connection, "select pg_sleep(60)")
    query.reports_errors = False
    until(lambda: sleeping(control))
    connection.cancel()
    query.join()
    print(type(query.exception).__name__)
    print(ask(connection, "select 'usable'"))
    query = greenio.spawn(ask, connection, "select pg_sleep(60)")
    query.reports_errors = False
    until(lambda: sleeping(control))
    ask(control, "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")
    query.join()
    print(isinstance(query.exception, sys.modules[library].OperationalError), bool(connection.closed))
    control.close()


def killed(library, dsn, how):
    """A greenlet is killed, or gets a Timeout, in the middle of a query."""
    connect = CONNECT[library]
    control, connection = connect(dsn), connect(dsn)

    def query():
        if how == "kill":
            ask(connection, "select pg_sleep(60)")
        else:
            with greenio.Timeout(0.1):
                ask(connection, "select pg_sleep(60)")

    job = greenio.spawn(query)
    job.reports_errors = False
    until(lambda: sleeping(control))
    if how == "kill":
        job.kill()
    job.join()
    print(type(job.value or job.exception).__name__)
    # psycopg has cancelled the query at the server; psycopg2 cannot.
    print("the server goes on" if sleeping(control) else "the server was told")
    try:
        print(ask(connection, "select 'usable'"))
    except Exception as error:
        print(f"{type(error).__name__}, closed: {bool(connection.closed)}")
    connection.close()
    ask(control, "select count(pg_terminate_backend(pid)) from pg_stat_activity where wait_event = 'PgSleep'")
    control.close()


def closed_by_another(dsn):
    """A connection is closed by one greenlet while another waits for its answer."""
    control, connection = psycopg_connect(dsn), psycopg_connect(dsn)
    job = greenio.spawn(ask, connection, "select pg_sleep(60)")
    job.reports_errors = False
    until(lambda: sleeping(control))
    connection.close()
    job.join(timeout=30)
    print(type(job.exception).__name__)
    control.close()


def notifications(dsn):
    import psycopg

    listening, control = psycopg_connect(dsn), psycopg_connect(dsn)
    listening.execute("listen news")
    print(list(listening.notifies(timeout=0.05)))

    def listen():
        return [each.payload for each in listening.notifies(timeout=30, stop_after=3)]

    hearing = greenio.spawn(listen)
    for number in range(3):
        control.execute("select pg_notify('news', %s)", (str(number),))
        greenio.sleep(0)
    print(hearing.get())
    stopped = greenio.spawn(lambda: list(listening.notifies()))
    greenio.sleep(0.01)
    stopped.kill()
    print(psycopg.pq.TransactionStatus(listening.info.transaction_status).name)
    listening.close()
    control.close()


def copying(dsn):
    connection = psycopg_connect(dsn)
    connection.execute("create temporary table numbers (number int)")
    with connection.cursor() as cursor:
        with cursor.copy("copy numbers from stdin") as copy:
            for number in range(20000):
                copy.write_row((number,))
        with cursor.copy("copy numbers to stdout") as copy:
            print(sum(int(row[0]) for row in copy.rows()) == sum(range(20000)))
        cursor.executemany("insert into numbers values (%s)", [(number,) for number in range(100)])
    with connection.pipeline():
        results = [connection.execute("select %s::int", (number,)) for number in range(10)]
    print([each.fetchone()[0] for each in results] == list(range(10)))
    with connection.transaction(), connection.cursor(name="steps") as cursor:
        cursor.execute("select number from numbers")
        print(len(cursor.fetchall()))
    connection.close()


def pooled(dsn):
    import psycopg_pool

    control = psycopg_connect(dsn)
    with psycopg_pool.ConnectionPool(dsn, min_size=2, max_size=5, timeout=30, kwargs={"autocommit": True}) as pool:
        pool.wait()

        def query(number):
            with pool.connection() as connection:
                return ask(connection, "select %s::int", (number,))

        print(together(COUNT, query) == list(range(COUNT)), pool.get_stats()["pool_size"] <= 5)
        with Locked(control):
            busy = [greenio.spawn(lambda: pool_lock(pool)) for _ in range(5)]
            until(lambda: waiting_for_lock(control) == 5)
            try:
                pool.getconn(timeout=0.05)
            except psycopg_pool.PoolTimeout:
                print("exhausted")
            waiting = greenio.spawn(query, 7)
            greenio.sleep(0)
            busy[0].kill()
            # The killed greenlet's connection is closed or used again: the waiting greenlet gets one in either case.
            print(waiting.get())
        greenio.joinall(busy, raise_error=True)
        print(together(COUNT, query) == list(range(COUNT)))
    control.close()


def pool_lock(pool):
    with pool.connection() as connection:
        ask(connection, LOCK)


def sqlalchemy_pool(url, dsn):
    import sqlalchemy
    from sqlalchemy.exc import TimeoutError

    control = psycopg_connect(dsn)
    engine = sqlalchemy.create_engine(url, pool_size=5, max_overflow=0, pool_timeout=30)

    def query(number):
        with engine.begin() as connection:
            return connection.execute(sqlalchemy.text("select cast(:number as int)"), {"number": number}).scalar()

    print(together(50, query) == list(range(50)), engine.pool.checkedin())

    def lock():
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(LOCK))

    with Locked(control):
        busy = [greenio.spawn(lock) for _ in range(5)]
        until(lambda: waiting_for_lock(control) == 5)
        engine.pool._timeout = 0.05
        try:
            query(0)
        except TimeoutError:
            print("exhausted")
        engine.pool._timeout = 30
        waiting = greenio.spawn(query, 7)
        greenio.sleep(0)
        busy[0].kill()
        print(waiting.get())
    greenio.joinall(busy, raise_error=True)
    print(together(50, query) == list(range(50)), engine.pool.checkedout())
    engine.dispose()
    control.close()


def adapted(library, dsn):
    """Print whether the library lets greenlets run: if it does, the lock's owner releases it before a timeout."""
    if library == "psycopg":
        import psycopg

        print(psycopg.waiting.wait is psycopg.waiting.wait_poll)
    else:
        import psycopg2.extensions

        print(psycopg2.extensions.get_wait_callback() is psycopg2_adapter.wait_callback)
    connection = CONNECT[library](dsn)
    ran = []
    ticking = greenio.spawn(lambda: ran.append(1))
    ask(connection, "select pg_sleep(0.05)")
    print(bool(ran))
    ticking.kill()
    connection.close()
