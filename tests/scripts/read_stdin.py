"""Wait for a line of standard input in one of several ways; say so on standard error first, and print what came."""

import os
import sys

import greenio
from greenio import os as cooperative
from greenio.fileobject import FileObject, FileObjectPosix
from greenio.socket import wait_read

WAYS = {
    "wait_read": lambda: (wait_read(0), os.read(0, 100).decode())[1],
    "read": lambda: cooperative.read(0, 100).decode(),
    "readv": lambda: (lambda buffer: buffer[: cooperative.readv(0, [buffer])].decode())(bytearray(100)),
    "FileObject": lambda: FileObject(sys.stdin).readline(),
    "FileObject beside": lambda: FileObject(sys.stdin, closefd=False).readline(),
    "descriptor": lambda: FileObject(0, closefd=False).readline(),
    "duplicate": lambda: FileObjectPosix(os.dup(0), "rb", 0).read(100).decode(),
    "input": lambda: replaced(FileObject(0, closefd=False)) or input() + "\n",
}


def replaced(file):
    sys.stdin = file


def main():
    reading = greenio.spawn(WAYS[sys.argv[1]])
    greenio.spawn(lambda: (greenio.sleep(0.005), os.write(2, b"waiting\n")))
    line = reading.get()
    sys.stdout.write(f"{line!r} {os.get_blocking(0)}\n")
    sys.stdout.flush()
    os._exit(0)


main()
