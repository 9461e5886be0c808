"""Imports greenio in a subinterpreter, before or after the main one has imported it."""

import sys

try:
    import _interpreters as interpreters
except ImportError:  # before CPython 3.13
    import _xxsubinterpreters as interpreters

TRY = """
for name in ("greenio", "greenio.local"):
    try:
        __import__(name)
    except ImportError as error:
        print(error, flush=True)
"""

if sys.argv[1] == "main":
    import greenio

    greenio.sleep(0)
interpreter = interpreters.create()
interpreters.run_string(interpreter, TRY)
interpreters.destroy(interpreter)
