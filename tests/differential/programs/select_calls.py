"""select, poll, epoll: ready and not, times, wrong descriptors, changes by others meanwhile."""

import os
import select
import socket
import threading

from _tell import tell, tell_kind

reading, writing = os.pipe()
one, other = socket.socketpair()
names = {reading: "reading", writing: "writing", one.fileno(): "one", other.fileno(): "other"}


def named(lists):
    return [sorted(names[each if isinstance(each, int) else each.fileno()] for each in items) for items in lists]


def events(found):
    return sorted((names[fd], event) for fd, event in found)


tell("nothing", select.select, [reading], [], [], 0)
tell("for a time", select.select, [reading, one], [], [one], 0.001)
tell("nothing at all", select.select, [], [], [], 0.001)
tell("writable", lambda: named(select.select([reading], [writing, one], [], 0)))
os.write(writing, b"x")
tell("readable", lambda: named(select.select([reading, one], [writing], [])))
other.send(b"x")
tell("objects", lambda: named(select.select([one, reading], [other], [one], 20)))
tell("the same twice", lambda: named(select.select([reading, reading], [], [], 20)))
tell_kind("negative", select.select, [reading], [], [], -1)
tell_kind("text", select.select, [reading], [], [], "1")
tell_kind("no lists", select.select, 5, [], [], 0)
tell_kind("no descriptors", select.select, ["x"], [], [], 0)
tell_kind("negative descriptor", select.select, [-1], [], [], 0)
tell_kind("closed descriptor", select.select, [900], [], [], 0)
tell_kind("large descriptor", select.select, [5000], [], [], 0)
os.read(reading, 1)
one.recv(1)
thread = threading.Timer(0.001, os.write, (writing, b"x"))
thread.start()
tell("meanwhile", lambda: named(select.select([reading, one], [], [], 20)))
thread.join()

poll = select.poll()
tell("register", poll.register, reading, select.POLLIN)
poll.register(one)
tell("poll", lambda: events(poll.poll(0)))
tell("modify", poll.modify, one, select.POLLIN)
tell("poll", lambda: events(poll.poll()))
os.read(reading, 1)
tell("for a time", poll.poll, 1)
tell("fraction", poll.poll, 0.5)
tell_kind("text", poll.poll, "1")
tell("unregister", poll.unregister, reading)
tell("unregister again", poll.unregister, reading)
tell("modify what is not there", poll.modify, reading, 1)
tell_kind("no descriptor", poll.register, "x")
poll.register(reading, select.POLLIN)
thread = threading.Timer(0.001, os.close, (writing,))
thread.start()
tell("hangs up", lambda: events(poll.poll(20_000)))
thread.join()
other.close()
tell("hangs up", lambda: events(poll.poll(20_000)))
one.close()
poll = select.poll()
poll.register(900, select.POLLIN)
tell("closed descriptor", poll.poll, 20_000)
os.close(reading)

one, other = socket.socketpair()
names = {one.fileno(): "one", other.fileno(): "other"}
epoll = select.epoll()
print(epoll.closed, epoll.fileno() >= 0)
tell("register", epoll.register, one, select.EPOLLIN)
tell("register again", epoll.register, one, select.EPOLLIN)
tell("no such descriptor", epoll.register, 900, select.EPOLLIN)
tell("nothing", epoll.poll, 0)
tell("for a time", epoll.poll, 0.001)
thread = threading.Timer(0.001, other.send, (b"x",))
thread.start()
tell("meanwhile", lambda: events(epoll.poll()))
thread.join()
tell("at most", lambda: events(epoll.poll(20, 1)))
tell("at most none", epoll.poll, 0, 0)
tell("modify", epoll.modify, one, select.EPOLLOUT)
tell("then", lambda: events(epoll.poll(20)))
epoll.modify(one, select.EPOLLIN | select.EPOLLONESHOT)
print(events(epoll.poll(20)), epoll.poll(0.001))
tell("unregister", epoll.unregister, one)
tell("unregister again", epoll.unregister, one)
with epoll as entered:
    print(entered is epoll)
print(epoll.closed)
tell("closed", epoll.poll, 0)
tell("closed", epoll.register, one)
tell("fileno of a closed one", epoll.fileno)
one.close()
other.close()
