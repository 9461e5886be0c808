"""The frames that the Autobahn testsuite sends to servers in its groups 1 to 7, 9 and 10, and some more of that kind.

`CASES`: the number of each case, and the pieces in which its bytes are sent. The suite itself needs Python 2. Messages
of group 9 are smaller here: faults are found at the borders of sizes, not in large messages.

See https://github.com/crossbario/autobahn-testsuite
"""

from struct import pack

from raw_websocket import BINARY, CLOSE, MASK, PING, PONG, TEXT, closing, frame, masked

CONTINUES = 0
CASES = {}
HELLO = b"Hello, world!"


def chopped(data, size=1):
    return [data[at : at + size] for at in range(0, len(data), size)]


def fragments(opcode, parts):
    last = len(parts) - 1
    return [frame(CONTINUES if at else opcode, part, fin=at == last) for at, part in enumerate(parts)]


def case(name, *pieces):
    assert name not in CASES
    CASES[name] = pieces


# --- 1: messages of all sizes ---

for at, size in enumerate([0, 125, 126, 127, 128, 65535, 65536], 1):
    case(f"1.1.{at}", frame(TEXT, b"*" * size))
    case(f"1.2.{at}", frame(BINARY, b"\xfe" * size))
case("1.1.8", *chopped(frame(TEXT, b"*" * 65536), 997))
case("1.2.8", *chopped(frame(BINARY, b"\xfe" * 65536), 997))

# --- 2: pings and pongs ---

TEN = [frame(PING, b"payload-%d" % at) for at in range(10)]
case("2.1", frame(PING))
case("2.2", frame(PING, HELLO))
case("2.3", frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"))
case("2.4", frame(PING, b"\xfe" * 125))
case("2.5", frame(PING, b"\xfe" * 126))
case("2.6", *chopped(frame(PING, b"\xfe" * 125)))
case("2.7", frame(PONG))
case("2.8", frame(PONG, b"unsolicited"))
case("2.9", frame(PONG, b"unsolicited"), frame(PING, HELLO))
case("2.10", *TEN)
case("2.11", *chopped(b"".join(TEN)))

# --- 3: reserved bits ---

case("3.1", frame(TEXT, HELLO, reserved=1))
case("3.2", frame(TEXT, HELLO), frame(TEXT, HELLO, reserved=2), frame(PING))
case("3.3", frame(TEXT, HELLO) + frame(TEXT, HELLO, reserved=3) + frame(PING))
case("3.4", *chopped(frame(TEXT, HELLO) + frame(TEXT, HELLO, reserved=4) + frame(PING)))
case("3.5", frame(BINARY, b"\x00\xff\xfe", reserved=5))
case("3.6", frame(PING, HELLO, reserved=6))
case("3.7", frame(CLOSE, reserved=7))

# --- 4: opcodes that mean nothing ---

for group, opcodes in (1, range(3, 8)), (2, range(11, 16)):
    for at, opcode in enumerate(opcodes, 1):
        before, behind = ([frame(TEXT, HELLO)], [frame(PING)]) if at > 2 else ([], [])
        case(f"4.{group}.{at}", *before, frame(opcode, HELLO if at % 2 == 0 else b""), *behind)

# --- 5: fragments ---

TWO = [b"fragment1", b"fragment2"]
FIRST, SECOND = fragments(TEXT, TWO)
INSIDE = [FIRST, frame(PING, b"ping"), SECOND]
ALONE = [frame(CONTINUES, HELLO), frame(TEXT, HELLO)]
ALONE_AND_OPEN = [frame(CONTINUES, HELLO, fin=False), frame(TEXT, HELLO)]
FIVE = [
    frame(TEXT, b"fragment1", fin=False), frame(CONTINUES, b"fragment2", fin=False), frame(PING, b"ping1"),
    frame(CONTINUES, b"fragment3", fin=False), frame(CONTINUES, b"fragment4", fin=False), frame(PING, b"ping2"),
    frame(CONTINUES, b"fragment5"),
]  # fmt: skip
case("5.1", *fragments(PING, TWO))
case("5.2", *fragments(PONG, TWO))
case("5.3", FIRST, SECOND)
case("5.4", FIRST + SECOND)
case("5.5", *chopped(FIRST + SECOND))
case("5.6", *INSIDE)
case("5.7", b"".join(INSIDE))
case("5.8", *chopped(b"".join(INSIDE)))
case("5.9", *ALONE)
case("5.10", b"".join(ALONE))
case("5.11", *chopped(b"".join(ALONE)))
case("5.12", *ALONE_AND_OPEN)
case("5.13", b"".join(ALONE_AND_OPEN))
case("5.14", *chopped(b"".join(ALONE_AND_OPEN)))
case("5.15", FIRST, SECOND, frame(CONTINUES, b"fragment3", fin=False), frame(TEXT, b"fragment4"))
case("5.16", frame(CONTINUES, b"fragment1", fin=False), FIRST, SECOND)
case("5.17", frame(CONTINUES, b"fragment1"), FIRST, SECOND)
case("5.18", FIRST, frame(TEXT, b"fragment2"))
case("5.19", *FIVE)
case("5.20", b"".join(FIVE))

# --- 6: UTF-8 ---

GOOD = "Hello-µ@ßöäüàá-UTF-8!!".encode()
GREEK = "κόσμε".encode()
BROKEN = GREEK + b"\xed\xa0\x80edited"
case("6.1.1", frame(TEXT))
case("6.1.2", *fragments(TEXT, [b"", b"", b""]))
case("6.1.3", *fragments(TEXT, [b"", b"middle frame payload", b""]))
case("6.2.1", frame(TEXT, GOOD))
case("6.2.2", *fragments(TEXT, [GOOD[:7], GOOD[7:]]))  # in the middle of a character
case("6.2.3", *fragments(TEXT, chopped(GOOD)))
case("6.2.4", *fragments(TEXT, chopped(GREEK)))
case("6.3.1", frame(TEXT, BROKEN))
case("6.3.2", *fragments(TEXT, chopped(BROKEN)))
case("6.4.1", *fragments(TEXT, [GREEK, b"\xf4\x90\x80\x80", b"edited"]))
case("6.4.2", *fragments(TEXT, [GREEK + b"\xf4", b"\x90", b"\x80\x80edited"]))
case("6.4.3", *chopped(frame(TEXT, GREEK + b"\xf4\x90\x80\x80edited"), 7))
for end in range(1, len(GREEK) + 1):
    case(f"6.6.{end}", frame(TEXT, GREEK[:end]))
for group, texts in {
    # The first and the last of each length, and those behind them.
    7: [b"\0", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"],
    8: [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"],
    9: [b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"],
    10: [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"],
    11: [b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80"],
    # Bytes that stand alone.
    12: [b"\x80", b"\xbf", b"\x80\xbf", bytes(range(0x80, 0xC0))],
    13: [b"".join(b"%c " % each for each in range(*limits))
         for limits in [(0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE)]],
    14: [b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf"],
    15: [b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80"],
    16: [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    # Longer than need be.
    17: [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf"],
    18: [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"],
    19: [b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80"],
    # Surrogates.
    20: [b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xbf\xbf"],
    21: [b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf"],
    # No characters, and yet allowed.
    22: [b"\xef\xbf\xbe", b"\xef\xbf\xbf", b"\xf0\x9f\xbf\xbe", b"\xf0\x9f\xbf\xbf"],
    23: [b"\xef\xbf\xbd"],
}.items():  # fmt: skip
    for at, text in enumerate(texts, 1):
        case(f"6.{group}.{at}", frame(TEXT, text))

# --- 7: the end ---

case("7.1.1", frame(TEXT, HELLO), closing(1000))
case("7.1.2", closing(1000), closing(1000))
case("7.1.3", closing(1000), frame(PING))
case("7.1.4", closing(1000), frame(TEXT, HELLO))
case("7.1.5", FIRST, closing(1000), SECOND)
case("7.3.1", frame(CLOSE))
case("7.3.2", frame(CLOSE, b"a"))
case("7.3.3", closing(1000))
case("7.3.4", closing(1000, HELLO))
case("7.3.5", closing(1000, b"*" * 123))
case("7.3.6", closing(1000, b"*" * 124))
case("7.5.1", closing(1000, BROKEN))
for at, code in enumerate([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999], 1):
    case(f"7.7.{at}", closing(code))
for at, code in enumerate([0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535], 1):
    case(f"7.9.{at}", closing(code))
    case(f"7.13.{at}", closing(code, b"why"))

# --- 9 and 10: many, and in many pieces ---

case("9.1", frame(TEXT, b"*" * 200_000))
case("9.2", *chopped(frame(BINARY, b"\xfe" * 70_000), 64))
for at, size in enumerate([64, 256, 1024, 4096, 16384], 1):
    case(f"9.3.{at}", *fragments(TEXT, chopped(b"*" * 64_000, size)))
for at, size in enumerate([0, 16, 64, 256, 1024, 4096], 1):
    case(f"9.7.{at}", b"".join([frame(TEXT, b"*" * size)] * 30))
case("10.1.1", *fragments(TEXT, chopped(b"*" * 65536, 1300)))

# --- beyond Autobahn: masks and lengths ---

case("without a mask", frame(TEXT, HELLO, mask=None))
case("a mask of zeros", frame(TEXT, HELLO, mask=bytes(4)))
case("a short length in two bytes", b"\x81\xfe\0\5" + MASK + masked(b"hello"))
case("a short length in eight", b"\x81\xff" + pack("!Q", 5) + MASK + masked(b"hello"))
case("a length with the highest bit", b"\x81\xff" + pack("!Q", 1 << 63) + MASK)
case("a ping of a length in two bytes", b"\x89\xfe\0\5" + MASK + masked(b"hello"))
case("a ping of a terabyte", b"\x89\xff" + pack("!Q", 1 << 40) + MASK)
case("a fragmented ping inside", FIRST, frame(PING, b"x", fin=False))
