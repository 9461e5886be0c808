"""Threads used wrongly: started twice, joined too early, renamed, with wrong arguments."""

import threading

from _tell import tell

thread = threading.Thread(target=int)
tell("join before the start", thread.join)
thread.start()
tell("start again", thread.start)
thread.join()
tell("start after the end", thread.start)
tell("run after the end", thread.run)
tell("join oneself", threading.current_thread().join)
tell("join with text", thread.join, "1")
tell("group", threading.Thread, group=1)
tell("daemon of the main one", setattr, threading.current_thread(), "daemon", True)
tell("daemon after the end", setattr, thread, "daemon", True)
thread.name = 5
tell("name", lambda: thread.name)
tell("no such argument", threading.Thread, tarjet=1)
tell("what is no function", threading.Thread(target=None).run)


class Forgetful(threading.Thread):
    def __init__(self):
        pass


tell("without __init__: start", Forgetful().start)
tell("without __init__: join", Forgetful().join)
tell("without __init__: repr", repr, Forgetful())
tell("without __init__: is_alive", Forgetful().is_alive)
tell("stack_size", threading.stack_size)
tell("stack_size too small", threading.stack_size, 1)
tell("stack_size negative", threading.stack_size, -1)
tell("stack_size of text", threading.stack_size, "1")
tell("settrace", threading.settrace, None)
tell("excepthook of nothing", threading.excepthook, None)
tell("TIMEOUT_MAX", lambda: threading.TIMEOUT_MAX > 1e6)
tell("get_ident", lambda: threading.get_ident() == threading.main_thread().ident)

results = []


def joins_itself():
    try:
        threading.current_thread().join()
    except RuntimeError as error:
        results.append(str(error))


def joins_main():
    threading.main_thread().join(0.001)
    results.append(threading.main_thread().is_alive())


def makes_itself_daemon():
    try:
        threading.current_thread().daemon = True
    except RuntimeError as error:
        results.append(str(error))


for function in (joins_itself, joins_main, makes_itself_daemon):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
print(results)
