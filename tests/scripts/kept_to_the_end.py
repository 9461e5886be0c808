"""Greenlets that go when the interpreter does, after the module that made them has been cleared."""

import sys

import greenio
from greenio.pool import Pool

pool = Pool(2)
greenlets = [greenio.spawn(int), pool.spawn(int), greenio.spawn_later(1000, int)]
greenio.joinall(greenlets[:2])
print(len({each.name for each in greenlets}))
# Python clears the module `sys` last.
sys.kept = [*greenlets, pool]
