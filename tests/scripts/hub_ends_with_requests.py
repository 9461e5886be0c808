"""Hubs end while requests of their stat watchers wait in libuv's thread pool, whose threads stay in the process."""

import threading

import greenio


def run():
    hub = greenio.get_hub()
    watchers = [hub.loop.stat(f"/proc/self/fd/{number}", 0.001) for number in range(300)]
    for watcher in watchers:
        watcher.start(int)
    greenio.sleep(0)
    for watcher in watchers:
        watcher.close()
    hub.destroy()


for _ in range(20):
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
print("ended")
