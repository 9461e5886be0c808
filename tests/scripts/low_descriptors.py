"""The lowest descriptor numbers are the program's, whatever the hub has opened; `few`: it may not open many at all."""

import os
import resource
import sys

import greenio
from greenio import monkey

if sys.argv[1:] == ["few"]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))


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
