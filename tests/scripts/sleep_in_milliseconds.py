"""Without epoll_pwait2, which the kernel lacks or a sandbox refuses, sleeps end at the millisecond after their time."""

import ctypes
import struct
import sys
import time

ERRNO = {"EPERM": 1, "ENOSYS": 38}


def refuse(number, error):
    """Let a system call fail in this process, by a filter of the kernel (seccomp(2))."""

    def instruction(code, jump_true, jump_false, value):
        return struct.pack("HBBI", code, jump_true, jump_false, value)

    program = b"".join([
        instruction(0x20, 0, 0, 0),  # load the number of the call
        instruction(0x15, 0, 1, number),  # another one: skip the next
        instruction(0x06, 0, 0, 0x00050000 | error),  # fail
        instruction(0x06, 0, 0, 0x7FFF0000),  # allow
    ])  # fmt: skip
    code = ctypes.create_string_buffer(program)
    filter = ctypes.create_string_buffer(struct.pack("HP", 4, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(each) for each in (1, 0, 0, 0)]
    if libc.prctl(38, *arguments) or libc.prctl(22, ctypes.c_ulong(2), filter):
        raise OSError(ctypes.get_errno(), "seccomp")


refuse(441, ERRNO[sys.argv[1]])

import greenio  # noqa: E402

for seconds in (0.0001, 0.0011, 0.0035, 0.0412):
    begun = time.monotonic()
    greenio.sleep(seconds)
    assert time.monotonic() - begun >= seconds
print("ended, none early")
