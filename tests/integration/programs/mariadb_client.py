"""PyMySQL against a real server, which says how many connections wait for one of its locks."""

import pymysql
from together import together, until

import greenio

COUNT = 30


def connect(port, **options):
    return pymysql.connect(host="127.0.0.1", port=int(port), user="root", autocommit=True, **options)


def ask(connection, query, *args):
    with connection.cursor() as cursor:
        cursor.execute(query, args)
        row = cursor.fetchone()
        return row and row[0]


def waiting(control, state):
    return ask(control, "select count(*) from information_schema.processlist where state = %s", state)


def many_wait_at_once(port):
    control = connect(port)
    ask(control, "select get_lock('meeting', 30)")

    def query(number):
        connection = connect(port)
        ask(connection, "select get_lock('meeting', 30)")
        ask(connection, "select release_lock('meeting')")
        got = ask(connection, "select %s", number)
        connection.close()
        return got

    jobs = [greenio.spawn(query, number) for number in range(COUNT)]
    until(lambda: waiting(control, "User lock") == COUNT)
    ask(control, "select release_lock('meeting')")
    print([job.get() for job in jobs] == list(range(COUNT)))
    control.close()


def transactions(port):
    control = connect(port)
    ask(control, "create database if not exists test")
    ask(control, "create or replace table test.accounts (amount int) engine=innodb")
    ask(control, "insert into test.accounts values (0)")

    def add(number):
        connection = connect(port, database="test")
        for _ in range(5):
            connection.begin()
            amount = ask(connection, "select amount from accounts for update")
            ask(connection, "update accounts set amount = %s", amount + 1)
            (connection.rollback if number % 2 else connection.commit)()
        connection.close()

    together(20, add)
    print(ask(control, "select amount from test.accounts"))
    control.select_db("test")
    with control.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute("select seq from seq_1_to_20000")
        print(sum(1 for row in cursor.fetchall_unbuffered()))
    control.close()


def unhappy(port):
    control = connect(port)
    slow = connect(port, read_timeout=0.05)
    try:
        ask(slow, "select sleep(60)")
    except pymysql.err.OperationalError as error:
        print(error.args[0], slow.open)

    gone = connect(port)
    job = greenio.spawn(ask, gone, "select sleep(60)")
    job.reports_errors = False
    number = gone.thread_id()
    until(
        lambda: ask(control, "select state from information_schema.processlist where id = %s", number) == "User sleep"
    )
    ask(control, f"kill {number}")
    job.join()
    print(job.exception.args[0], gone.open)

    # A kill in a wait for an answer closes the connection: the next query would take the answer for its own.
    killed = connect(port)
    job = greenio.spawn(ask, killed, "select sleep(60)")
    number = killed.thread_id()
    until(
        lambda: ask(control, "select state from information_schema.processlist where id = %s", number) == "User sleep"
    )
    job.kill()
    try:
        print(ask(killed, "select 'usable'"))
    except pymysql.err.Error as error:
        print(type(error).__name__, killed.open)
    ask(control, f"kill {number}")
    control.close()


def sqlalchemy_pool(port):
    import sqlalchemy
    from sqlalchemy.exc import TimeoutError

    control = connect(port)
    url = f"mysql+pymysql://root@127.0.0.1:{port}/"
    engine = sqlalchemy.create_engine(url, pool_size=5, max_overflow=0, pool_timeout=30)

    def query(number):
        with engine.begin() as connection:
            return connection.execute(sqlalchemy.text("select :number"), {"number": number}).scalar()

    print(together(50, query) == list(range(50)), engine.pool.checkedin())

    def lock():
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("do get_lock('meeting', 30), release_lock('meeting')"))

    ask(control, "select get_lock('meeting', 30)")
    busy = [greenio.spawn(lock) for _ in range(5)]
    until(lambda: waiting(control, "User lock") == 5)
    engine.pool._timeout = 0.05
    try:
        query(0)
    except TimeoutError:
        print("exhausted")
    engine.pool._timeout = 30
    asked = greenio.spawn(query, 7)
    greenio.sleep(0)
    busy[0].kill()
    print(asked.get())
    ask(control, "select release_lock('meeting')")
    greenio.joinall(busy, raise_error=True)
    print(together(50, query) == list(range(50)), engine.pool.checkedout())
    engine.dispose()
    control.close()
