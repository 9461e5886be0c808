"""A small name server on loopback, in greenlets of the process that asks it: UDP and TCP, right answers and faults.

A zone has the answers: ``{"name.test": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}}``. In place of records, a name or
a type may have a fault: SERVFAIL, REFUSED, SILENT (no answer at all), or DEAF (no answer to the first question). It may
also have an Event: when that is set, the records of the name "answer.test" are sent. UDP answers are cut off if
TRUNCATED is among the records.
"""

import struct
from contextlib import suppress

from greenio import spawn
from greenio.event import Event
from greenio.socket import AF_INET, AF_INET6, SOCK_DGRAM, inet_pton, socket

SERVFAIL, REFUSED, SILENT, DEAF, TRUNCATED = "servfail", "refused", "silent", "deaf", "truncated"
_CODES = {SERVFAIL: 2, "nxdomain": 3, REFUSED: 5}
_TYPES = {1: "A", 5: "CNAME", 12: "PTR", 28: "AAAA"}


class NameServer:
    """A name server; a context manager. `asked` lists the questions: (name, type, "udp" or "tcp")."""

    def __init__(self, zone):
        self.zone = zone
        self.asked = []
        self._connections = []
        self.udp = None

    def listen_at(self, host, port):
        """Listen at an address. Raises OSError if it is in use."""
        self.udp, self.tcp = socket(type=SOCK_DGRAM), socket()
        try:
            self.udp.bind((host, port))
            self.tcp.bind(self.udp.getsockname())
            self.tcp.listen(5)
        except OSError:
            self.udp.close()
            self.tcp.close()
            self.udp = None
            raise
        self.address = "{}:{}".format(*self.udp.getsockname())

    def __enter__(self):
        while self.udp is None:
            # The same port for both may take several tries.
            with suppress(OSError):
                self.listen_at("127.0.0.1", 0)
        self._greenlets = [spawn(self._serve_udp), spawn(self._serve_tcp)]
        return self

    def __exit__(self, *_):
        for greenlet in self._greenlets:
            greenlet.kill()
        for sock in (self.udp, self.tcp, *self._connections):
            sock.close()

    def _serve_udp(self):
        while True:
            question, client = self.udp.recvfrom(4096)
            self._greenlets.append(spawn(self._answer_udp, question, client))

    def _answer_udp(self, question, client):
        answer = self._answer(question, "udp")
        if answer is not None:
            self.udp.sendto(answer, client)

    def _serve_tcp(self):
        while True:
            connection, _ = self.tcp.accept()
            self._connections.append(connection)
            self._greenlets.append(spawn(self._serve_connection, connection))

    def _serve_connection(self, connection):
        # A client that is killed resets its connection.
        with suppress(ConnectionError), connection.makefile("rwb") as file:
            while header := file.read(2):
                answer = self._answer(file.read(int.from_bytes(header, "big")), "tcp")
                if answer is None:
                    continue
                file.write(len(answer).to_bytes(2, "big") + answer)
                file.flush()

    def _answer(self, question, how):
        name, end = _read_name(question, 12)
        kind = _TYPES.get(int.from_bytes(question[end : end + 2], "big"), "?")
        self.asked.append((name, kind, how))
        records = self.zone.get(name, "nxdomain")
        if isinstance(records, dict) and isinstance(records.get(kind), str):
            records = records[kind]
        if isinstance(records, Event):
            records.wait()
            records = self.zone["answer.test"]
        if records == SILENT or (records == DEAF and self.asked.count((name, kind, how)) == 1):
            return None
        if records == DEAF:
            records = self.zone["answer.test"]
        code, answers, truncated = 0, [], False
        if isinstance(records, str):
            code = _CODES[records]
        elif TRUNCATED in records and how == "udp":
            truncated = True
        else:
            answers = self._records(name, kind)
        flags = 0x8180 | code | (0x0200 if truncated else 0)
        header = question[:2] + struct.pack(">HHHHH", flags, 1, len(answers), 0, 0)
        return header + question[12 : end + 4] + b"".join(answers)

    def _records(self, name, kind):
        records = self.zone.get(name, {})
        if isinstance(records, Event) or records == DEAF:
            records = self.zone["answer.test"]
        if "CNAME" in records:
            (alias,) = records["CNAME"]
            return [_record(name, "CNAME", alias), *self._records(alias, kind)]
        return [_record(name, kind, data) for data in records.get(kind, ())]


def _read_name(message, at):
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def _write_name(name):
    labels = name.encode("latin-1").split(b".")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _record(name, kind, data):
    number = next(number for number, text in _TYPES.items() if text == kind)
    families = {"A": AF_INET, "AAAA": AF_INET6}
    wire = inet_pton(families[kind], data) if kind in families else _write_name(data)
    # A time to live of zero: nobody keeps the answer.
    return _write_name(name) + struct.pack(">HHIH", number, 1, 0, len(wire)) + wire
