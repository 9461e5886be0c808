"""selectors: each kind, a server of many connections in one thread, wrong use, closes meanwhile."""

import selectors
import socket
import threading

from _tell import tell, tell_kind

for kind in (selectors.DefaultSelector, selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector):
    print(kind.__name__ if kind is not selectors.DefaultSelector else "default")
    one, other = socket.socketpair()
    with kind() as selector:
        key = selector.register(one, selectors.EVENT_READ, "data")
        print(key.fileobj is one, key.fd == one.fileno(), key.events, key.data)
        tell_kind("again", selector.register, one, selectors.EVENT_READ)
        tell_kind("no events", selector.register, other, 0)
        tell_kind("no such event", selector.register, other, 99)
        tell_kind("nothing", selector.register, "x", 1)
        tell("negative", selector.register, -1, 1)
        tell_kind("not there", selector.modify, other, 1)
        tell_kind("not there", selector.unregister, other)
        tell_kind("not there", selector.get_key, other)
        tell("nothing", selector.select, 0)
        tell("for a time", selector.select, 0.001)
        tell("negative", selector.select, -1)
        timer = threading.Timer(0.001, other.send, (b"x",))
        timer.start()
        print([(key.data, events) for key, events in selector.select(20)])
        timer.join()
        selector.modify(one, selectors.EVENT_READ | selectors.EVENT_WRITE, "both")
        print([(key.data, events) for key, events in selector.select()])
        print(len(selector.get_map()), selector.get_key(one).data, other in selector.get_map())
        one.close()
        other.close()
        print(selector.unregister(one).data, len(selector.get_map()))
    tell_kind("closed", selector.select, 0)
    tell_kind("closed", selector.get_key, one)
    print(selector.get_map())

selector = selectors.DefaultSelector()
server = socket.create_server(("127.0.0.1", 0))
server.setblocking(False)
served, running = [], True


def accept(server):
    connection, _ = server.accept()
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ, echo)


def echo(connection):
    if data := connection.recv(100):
        connection.sendall(data.upper())
    else:
        selector.unregister(connection)
        connection.close()
        served.append(1)


def serve():
    selector.register(server, selectors.EVENT_READ, accept)
    while len(served) < 10:
        for key, _ in selector.select(20):
            key.data(key.fileobj)


results = []


def ask(number):
    with socket.create_connection(server.getsockname()) as client:
        for turn in range(3):
            client.sendall(b"%d of %d" % (turn, number))
            results.append(client.recv(100))


threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
threads.append(threading.Thread(target=serve))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(results))
selector.close()
server.close()
