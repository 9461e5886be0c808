"""threading.settrace() and setprofile(), sys.settrace() in one thread; what each sees."""

import sys
import threading

from _tell import tell

events = []


def trace(frame, event, argument):
    if frame.f_code.co_filename == __file__ and frame.f_code.co_name in ("traced", "inner"):
        events.append((event, frame.f_code.co_name))
    return trace


def inner():
    return 1


def traced():
    inner()
    return 2


def run():
    thread = threading.Thread(target=traced)
    thread.start()
    thread.join()


threading.settrace(trace)
run()
threading.settrace(None)
sys.settrace(None)
print(events)
del events[:]
run()
print(events)


def profile(frame, event, argument):
    if frame.f_code.co_filename == __file__ and event in ("call", "return"):
        events.append((event, frame.f_code.co_name))


threading.setprofile(profile)
run()
threading.setprofile(None)
sys.setprofile(None)
print([each for each in events if each[1] in ("traced", "inner")])
del events[:]
sys.settrace(trace)
traced()
sys.settrace(None)
print(len(events), sys.gettrace(), sys.getprofile())


def bad(frame, event, argument):
    raise ValueError("in a trace function")


def traced_badly():
    sys.settrace(bad)
    try:
        inner()
    except ValueError as error:
        print(error, sys.gettrace())


thread = threading.Thread(target=traced_badly)
thread.start()
thread.join()
tell("what is no function", sys.settrace, 5)
sys.settrace(None)
print(threading.gettrace(), threading.getprofile())
