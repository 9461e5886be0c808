"""Workers on a database: jobs stand in a table of SQLite, and several workers do them.

SQLite would stop all greenlets while it waits for the disk or a lock, so a native thread does its work. A job that
fails is tried again. SIGTERM or Ctrl-C lets the workers finish the jobs that they have; the rest stays in the database
for the next time.

python examples/database_worker.py [--database FILE] [--jobs 50] [--workers 10]
"""

import argparse
import os
import random
import signal
import sqlite3
import sys
import tempfile

import greenio
from greenio.event import Event
from greenio.threadpool import ThreadPool

ATTEMPTS = 5
TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY, state TEXT NOT NULL DEFAULT 'waiting', attempts INTEGER NOT NULL DEFAULT 0, result TEXT
)"""
TAKE = """
UPDATE jobs SET state = 'running', attempts = attempts + 1
WHERE number = (SELECT number FROM jobs WHERE state = 'waiting' ORDER BY attempts, number LIMIT 1)
RETURNING number, attempts"""


class Database:
    """A SQLite database, in a native thread of its own. Each method is a transaction; it lets other greenlets run."""

    def __init__(self, path):
        self.thread = ThreadPool(1)
        self.connection = self.thread.apply(sqlite3.connect, (path,))
        self.run("PRAGMA journal_mode = WAL")
        self.run("PRAGMA synchronous = NORMAL")
        self.run(TABLE)
        self.run("UPDATE jobs SET state = 'waiting' WHERE state = 'running'")  # of a process that was killed

    def run(self, statement, *values):
        """Execute a statement, and return its rows."""
        return self.thread.apply(self._run, (statement, values))

    def _run(self, statement, values):
        with self.connection:
            return self.connection.execute(statement, values).fetchall()

    def add(self, count):
        self.run(f"INSERT INTO jobs (state) VALUES {', '.join(['(?)'] * count)}", *["waiting"] * count)

    def take(self):
        """The number and the attempts of a job that nobody else has, or None."""
        return next(iter(self.run(TAKE)), None)

    def finish(self, number, state, result):
        self.run("UPDATE jobs SET state = ?, result = ? WHERE number = ?", state, result, number)

    def counts(self):
        """How many jobs are in each state (dict)."""
        return dict(self.run("SELECT state, count(*) FROM jobs GROUP BY state"))

    def close(self):
        self.thread.apply(self.connection.close)
        self.thread.kill()


def do(number):
    """A stand-in for a request to a slow server: waits, and sometimes fails."""
    greenio.sleep(random.uniform(0.01, 0.05))
    if random.random() < 0.2:
        raise ConnectionError("no answer")
    return f"result of {number}"


def work(database, stopping):
    """Do jobs until there are none, or the program is to stop."""
    while not stopping.is_set() and (job := database.take()) is not None:
        number, attempts = job
        try:
            with greenio.fail_after(10):
                result = do(number)
        except OSError as error:  # TimeoutError and ConnectionError are among them
            database.finish(number, "waiting" if attempts < ATTEMPTS else "failed", str(error))
        else:
            database.finish(number, "done", result)


def show(database):
    """Tell how far it is, four times a second."""
    while True:
        print(f"\r{describe(database.counts())}", end="", flush=True)
        greenio.sleep(0.25)


def describe(counts):
    return ", ".join(f"{counts.get(state, 0)} {state}" for state in ("done", "failed", "running", "waiting"))


def main():
    parser = argparse.ArgumentParser(description="Do the jobs of a database.")
    parser.add_argument("--database", help="a file; default: a new one in a temporary folder")
    parser.add_argument("--jobs", type=int, default=50, help="how many to add first; default: %(default)s")
    parser.add_argument("--workers", type=int, default=10, help="jobs at a time; default: %(default)s")
    options = parser.parse_args()

    stopping = Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        greenio.signal_handler(signum, stopping.set)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(options.database or os.path.join(folder, "jobs.db"))
        try:
            database.add(options.jobs)
            progress = greenio.spawn(show, database)
            with greenio.TaskGroup() as group:
                for _ in range(options.workers):
                    group.spawn(work, database, stopping)
            progress.kill()
            print(f"\r{describe(database.counts())}")
        finally:
            database.close()
    return 1 if stopping.is_set() else 0


if __name__ == "__main__":
    sys.exit(main())
