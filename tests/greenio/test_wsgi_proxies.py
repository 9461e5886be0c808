"""greenio.wsgi behind proxies: X-Forwarded-For and its like, and the PROXY protocol, of trusted proxies only."""

import socket as standard
import struct

import pytest
from raw_http import LAST, answers_in, ask_one, connect, receive_all, serving

from greenio import sleep
from greenio.socket import create_connection
from greenio.wsgi import WSGIServer

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Keeping:
    def __init__(self):
        self.environ = None

    def __call__(self, environ, start_response):
        self.environ = environ
        start_response("200 OK", [])
        return [b"a"]


def seen_by_application(lines, forwarded_from="127.0.0.0/8, 10.0.0.0/8"):
    """Send a request with these fields; return the address, the scheme and the host that the application sees."""
    kept = Keeping()
    with serving(kept, forwarded_from=forwarded_from) as server:
        assert ask_one(server, LAST[:-2] + b"".join(line + b"\r\n" for line in lines) + b"\r\n").code == 200
    environ = kept.environ
    return environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]


class TestForwardedFields:
    ALL = (b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: b:81")

    def test_fields_of_trusted_proxies_are_used(self):
        assert seen_by_application(self.ALL) == ("1.2.3.4", "https", "b:81")

    @pytest.mark.parametrize("forwarded_from", [None, "10.0.0.0/8", "::1", "unix"])
    def test_fields_of_others_are_ignored(self, forwarded_from):
        assert seen_by_application(self.ALL, forwarded_from) == ("127.0.0.1", "http", "a")

    @pytest.mark.parametrize(
        ("fields", "address"),
        [
            ([b"9.9.9.9, 1.2.3.4"], "1.2.3.4"),
            ([b"9.9.9.9, 1.2.3.4, 10.1.1.1"], "1.2.3.4"),
            ([b"9.9.9.9, 1.2.3.4", b"10.1.1.1"], "1.2.3.4"),
            ([b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ([b"1.2.3.4, unknown"], "127.0.0.1"),
            ([b"1.2.3.4, unknown, 10.1.1.1"], "10.1.1.1"),
            ([b"1.2.3.4:567"], "1.2.3.4"),
            ([b"[2001:db8::1]:567"], "2001:db8::1"),
            ([b"2001:db8::1"], "2001:db8::1"),
            ([b"", b" , "], "127.0.0.1"),
            ([b"1.2.3.4\t"], "1.2.3.4"),
        ],
    )
    def test_the_client_is_the_first_from_the_right_that_is_no_proxy(self, fields, address):
        assert seen_by_application([b"X-Forwarded-For: " + field for field in fields])[0] == address

    def test_of_several_proxies_the_outermost_trusted_one_counts(self):
        lines = [
            b"X-Forwarded-For: 9.9.9.9, 1.2.3.4, 10.1.1.1", b"X-Forwarded-Proto: ftp, https, http",
            b"X-Forwarded-Host: evil, b, c",
        ]  # fmt: skip
        assert seen_by_application(lines) == ("1.2.3.4", "https", "b")

    @pytest.mark.parametrize("lines", [
            [b"X-Forwarded-Proto: javascript"], [b"X-Forwarded-Host: a/b@c"],
            [b"X-Forwarded-For: 1.2.3.4, fe80::1%1 - \"GET /admin\" \x9b2J"], [b"X-Forwarded-For: [fe80::1%a]:80"],
            [b"X-Forwarded-For: [::2"], [b"X-Forwarded-For: [::2]80"], [b"X-Forwarded-For: [::2]:"],
            [b"X-Forwarded-For: ::2]"], [b"X-Forwarded-For: [[::2]]"],
            [b"X-Forwarded-For: [1.2.3.4]:80"], [b"X-Forwarded-For: [::2]:80:81"],
            [b"X-Forwarded-For: 1.2.3.4:"], [b"X-Forwarded-For: 1.2.3.4:x"], [b"X-Forwarded-For: 1.2.3.4:65536"],
            [b"X-Forwarded-For: 1.2.3.4:-1"], [b"X-Forwarded-For: :80"], [b"X-Forwarded-For: []"],
        ])  # fmt: skip
    def test_malformed_fields_are_ignored(self, lines):
        assert seen_by_application(lines) == ("127.0.0.1", "http", "a")

    def test_all_clients_and_unix_sockets_may_be_trusted(self, tmp_path):
        assert seen_by_application(self.ALL, "*")[0] == "1.2.3.4"
        kept = Keeping()
        with serving(kept, listener=f"unix:{tmp_path}/socket", forwarded_from=["unix"]) as server:
            ask_one(server, LAST[:-2] + b"X-Forwarded-For: 1.2.3.4\r\n\r\n")
        assert kept.environ["REMOTE_ADDR"] == "1.2.3.4"

    def test_malformed_networks_are_refused(self):
        with pytest.raises(ValueError, match="is not a network: write an address"):
            WSGIServer(("127.0.0.1", 0), Keeping(), forwarded_from="localhost")


def binary(command=0x21, form=0x11, data=None, length=None):
    if data is None:
        data = standard.inet_aton("1.2.3.4") + standard.inet_aton("5.6.7.8") + struct.pack(">HH", 1111, 80)
    return SIGNATURE + struct.pack(">BBH", command, form, len(data) if length is None else length) + data


V6 = standard.inet_pton(standard.AF_INET6, "2001:db8::1") * 2 + struct.pack(">HH", 1111, 80)


def exchange(words, proxy_protocol="127.0.0.1", cut=None):
    """Send words of the PROXY protocol and a request; return the answers, and the environment of the application."""
    kept = Keeping()
    with serving(kept, proxy_protocol=proxy_protocol, header_timeout=30) as server, connect(server) as sock:
        data = words + LAST
        for at in range(0, len(data), cut or len(data)):
            sock.sendall(data[at : at + (cut or len(data))])
            sleep(0)
        sock.shutdown(1)
        try:
            return answers_in(receive_all(sock)), kept.environ
        except ConnectionResetError:
            return [], kept.environ


class TestTheProxyProtocol:
    @pytest.mark.parametrize("cut", [None, 1])
    @pytest.mark.parametrize(
        ("words", "client"),
        [
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\n", ("1.2.3.4", "1111")),
            (b"PROXY TCP6 2001:db8::1 ::1 1111 80\r\n", ("2001:db8::1", "1111")),
            (b"PROXY UNKNOWN\r\n", None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
            (binary(), ("1.2.3.4", "1111")),
            (binary(form=0x21, data=V6), ("2001:db8::1", "1111")),
            (binary(command=0x20), None),
            (binary(command=0x20, form=0, data=b""), None),
            (binary(form=0x31, data=b"/" * 216), None),
            (binary(data=binary()[16:] + b"\x04\0\x05abcde"), ("1.2.3.4", "1111")),
        ],
    )
    def test_the_header_has_the_address_of_the_client(self, words, client, cut):
        answers, environ = exchange(words, cut=cut)
        assert [answer.code for answer in answers] == [200]
        if client is None:
            assert environ["REMOTE_ADDR"] == "127.0.0.1"
        else:
            assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == client

    @pytest.mark.parametrize(
        "words",
        [
            b"", b"PROXY\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1111\r\n", b"PROXY TCP4 1.2.3 5.6.7.8 1 80\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 80\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 80\r\n",
            b"PROXY TCP4 ::1 ::1 1 80\r\n", b"PROXY TCP6 fe80::1%\x1b[31m\r-X ::1 1 80\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 80\r\n", b"PROXY UDP4 1.2.3.4 5.6.7.8 1 80\r\n", b"PROXY " + b"A" * 200,
            b"PROXI TCP4 1.2.3.4 5.6.7.8 1 80\r\n", b"proxy TCP4 1.2.3.4 5.6.7.8 1 80\r\n",
            binary(command=0x11), binary(command=0x22), binary(length=8, data=binary()[16:24]), binary(length=5000),
            SIGNATURE[:-1] + b"X" + binary()[12:],
        ],
    )  # fmt: skip
    def test_a_malformed_or_missing_header_ends_the_connection(self, words):
        answers, environ = exchange(words)
        assert not answers and environ is None

    def test_a_header_of_others_is_a_malformed_request(self):
        for proxy_protocol in (None, "10.0.0.0/8"):
            answers, environ = exchange(b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\n", proxy_protocol)
            assert [answer.code // 100 for answer in answers] in ([4], [5]) and environ is None

    def test_the_header_must_come_in_time(self):
        with serving(Keeping(), proxy_protocol="*", header_timeout=0.05) as server, connect(server) as sock:
            assert receive_all(sock) == b""

    def test_the_header_comes_before_tls(self, server_context, client_context):
        kept = Keeping()
        with serving(kept, proxy_protocol="*", ssl_context=server_context) as server:
            with create_connection(server.address, timeout=30) as plain:
                plain.sendall(binary())
                with client_context.wrap_socket(plain, server_hostname="localhost") as sock:
                    sock.sendall(LAST)
                    assert answers_in(receive_all(sock))[0].code == 200
        assert kept.environ["REMOTE_ADDR"] == "1.2.3.4"
