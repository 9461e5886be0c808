"""The lowest descriptor numbers are the program's, whatever the hub has opened.

With `few`, the process may not open many descriptors at all. With `used`, as many are free as the hub needs, and no
more. With `none`, not one is free, and the hub cannot be made.
"""

import os
import resource
import sys

import greenio
from greenio import monkey

if sys.argv[1:] == ["few"]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))


if sys.argv[1:] in (["used"], ["none"]):
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
    opened = []
    try:
        while True:
            opened.append(os.dup(0))
    except OSError:
        pass
    if sys.argv[1] == "used":
        for descriptor in opened[:10] + opened[-5:]:
            os.close(descriptor)
    try:
        greenio.sleep(0.001)
        print("works")
    except OSError as error:
        print(error.strerror)
    sys.exit()


def lowest():
    """The ten lowest numbers that are free."""
    opened = [os.dup(0) for _ in range(10)]
    for descriptor in opened:
        os.close(descriptor)
    return opened


before = lowest()
monkey.patch_all()
greenio.sleep(0.001)
greenio.spawn(greenio.sleep, 0.001).join()
print(lowest() == before)
