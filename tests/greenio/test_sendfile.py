"""sendfile() of sockets: the part of the file, bad arguments, timeouts."""

import io

import pytest

from greenio import spawn

MIB = 1 << 20


def test_sendfile_sends_the_whole_file(pair, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * MIB)
    first, second = pair
    with path.open("rb") as file:
        sending = spawn(first.sendfile, file)
        received = 0
        while received < MIB:
            received += len(second.recv(MIB))
        assert sending.get() == MIB


class TestSendfile:
    @pytest.fixture
    def path(self, tmp_path):
        made = tmp_path / "file"
        made.write_bytes(bytes(range(256)) * 8192)  # 2 MiB
        return made

    def receive(self, sock, count):
        chunks = []
        while sum(map(len, chunks)) < count:
            chunks.append(sock.recv(65536))
        return b"".join(chunks)

    @pytest.mark.parametrize("offset, count", [(0, None), (100, None), (0, 1000), (256, 1_000_000), (2_097_152, None)])
    def test_the_part_of_the_file_is_sent(self, pair, path, offset, count):
        ours, theirs = pair
        expected = path.read_bytes()[offset : None if count is None else offset + count]
        with open(path, "rb") as file:
            sending = spawn(ours.sendfile, file, offset, count)
            assert self.receive(theirs, len(expected)) == expected
            assert sending.get() == len(expected)
            assert file.tell() == (offset + len(expected) if expected else 0)

    def test_a_file_without_a_descriptor_is_sent(self, pair):
        ours, theirs = pair
        sending = spawn(ours.sendfile, io.BytesIO(b"x" * 100_000))
        assert self.receive(theirs, 100_000) == b"x" * 100_000 and sending.get() == 100_000

    def test_sendfile_refuses_bad_arguments(self, pair, path):
        with open(path, "rb") as file, open(path) as text:
            for args in ((file, 0, -1), (file, 0, 0), (text,)):
                with pytest.raises(ValueError):
                    pair[0].sendfile(*args)
            with pytest.raises(TypeError):
                pair[0].sendfile(file, 0, "x")

    def test_sendfile_times_out_after_what_was_sent(self, pair, path):
        pair[0].settimeout(0.005)
        with open(path, "rb") as file:
            with pytest.raises(TimeoutError):
                pair[0].sendfile(file)
            assert 0 < file.tell() < 2_097_152
            pair[0].settimeout(0)
            with pytest.raises(ValueError, match="non-blocking"):
                pair[0].sendfile(file)
