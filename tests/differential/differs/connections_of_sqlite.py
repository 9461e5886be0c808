"""A connection that another thread has opened."""
# natively: ProgrammingError
# patched: used

import sqlite3
import threading

connections = []
thread = threading.Thread(target=lambda: connections.append(sqlite3.connect(":memory:")))
thread.start()
thread.join()
try:
    connections[0].execute("select 1")
    print("used")
except sqlite3.ProgrammingError as error:
    print(type(error).__name__)
