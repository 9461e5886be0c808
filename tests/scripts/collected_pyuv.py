"""The garbage collector runs while pyuv takes one of its handles apart."""

import gc

from hub import pyuv

from greenio import get_hub, sleep


class Collects:
    def __del__(self):
        gc.collect()
        collected.append(1)


collected = []
loop = get_hub().loop.uv
for kind, arguments in ((pyuv.Timer, ()), (pyuv.Async, (print,)), (pyuv.Idle, ()), (pyuv.fs.FSEvent, ())):
    for how in ("closed", "dropped"):
        handle = kind(loop, *arguments)
        handle.attribute = Collects()
        if how == "closed":
            handle.close()
        del handle
    while len(collected) < 2:
        sleep(0.001)
    collected.clear()
print("collected")
