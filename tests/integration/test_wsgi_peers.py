"""greenio.wsgi with other projects' programs: clients, a proxy, frameworks, a validator."""

import contextlib
import http.client
import json
import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
CERTIFICATES = Path(__file__).parents[1] / "certificates"
CERTIFICATE, KEY = CERTIFICATES / "cert.pem", CERTIFICATES / "key.pem"
BIG = 3_000_000


@contextlib.contextmanager
def serving(application, *options, bind="127.0.0.1:0", logged=""):
    """Serve an application of programs/wsgi_applications.py. Yields its URL, or the path of its Unix socket.

    At its end the server must have logged nothing but its begin and end, and in between `logged` (a pattern).
    """
    command = [sys.executable, "-X", "faulthandler", "-m", "greenio.wsgi", f"wsgi_applications:{application}"]
    server = subprocess.Popen(
        [*command, "-b", bind, *map(str, options)],
        cwd=PROGRAMS,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        first = server.stderr.readline()
        yield re.search(r"listening on (?:unix:)?(\S+)", first)[1]
        server.terminate()
        _, rest = server.communicate(timeout=60)
        assert re.fullmatch(rf"{logged}greenio\.wsgi: ending\n", rest, re.DOTALL)
        assert server.returncode == 0
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


@pytest.fixture
def url():
    with serving("plain") as served:
        yield served


@pytest.fixture
def curl(find_program):
    """curl(*arguments) runs curl, and returns its output."""
    program = find_program("curl")

    def run(*arguments, data=None):
        command = [program, "--silent", "--show-error", "--max-time", "30", "--noproxy", "*", *map(str, arguments)]
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


class TestCurl:
    @pytest.mark.parametrize("options", [[], ["--http1.0"], ["--http2"]], ids=str)
    def test_it_gets_an_answer(self, curl, url, options):
        # --http2 asks for another protocol, over cleartext. It is answered in this one.
        answer = curl(*options, "-w", " %{http_version} %{http_code}", f"{url}/")
        assert answer == b"hello 1.1 200"

    def test_it_keeps_its_connection(self, curl, url):
        answer = curl("-w", " %{num_connects} ", f"{url}/", f"{url}/blocks", f"{url}/file", f"{url}/environ")
        assert re.findall(rb" ([01]) ", answer)[:4] == [b"1", b"0", b"0", b"0"]

    @pytest.mark.parametrize("form", ["length", "chunked", "continue", "chunked 1.0 answer"])
    def test_it_sends_a_body(self, curl, url, form):
        body = bytes(range(256)) * 4000
        options = {"chunked": ["-H", "Transfer-Encoding: chunked"], "length": ["-H", "Expect:"]}.get(form, [])
        assert curl(*options, "--data-binary", "@-", f"{url}/echo", data=body) == body

    def test_it_gets_no_body_of_head(self, curl, url):
        answer = curl("--head", f"{url}/")
        assert b"content-length: 5\r\n" in answer.lower() and answer.endswith(b"\r\n\r\n")

    @pytest.mark.parametrize("path", ["blocks", "file"])
    def test_it_gets_a_long_answer(self, curl, url, path):
        assert curl(f"{url}/{path}") == (b"x" if path == "blocks" else b"y") * BIG

    def test_it_gets_early_hints(self, curl, url):
        answer = curl("--include", f"{url}/hints")
        assert answer.startswith(
            b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n"
        )

    def test_it_gets_an_answer_over_tls(self, curl):
        with serving("plain", "--certfile", CERTIFICATE, "--keyfile", KEY) as url:
            port = url.rpartition(":")[2]
            answer = curl("--cacert", CERTIFICATE, f"https://localhost:{port}/environ")
            assert answer == f"127.0.0.1 https localhost:{port} HTTP/1.1 GET".encode()
            assert curl("--cacert", CERTIFICATE, f"https://localhost:{port}/file") == b"y" * BIG

    def test_it_gets_an_answer_over_a_unix_socket(self, curl, tmp_path):
        with serving("plain", bind=f"unix:{tmp_path}/socket") as path:
            assert curl("--unix-socket", path, "http://localhost/") == b"hello"

    def test_it_speaks_the_proxy_protocol(self, curl):
        if b"--haproxy-protocol" not in curl("--help", "all"):
            pytest.skip("curl does not know --haproxy-protocol")
        with serving("plain", "--proxy-protocol", "127.0.0.1") as url:
            assert curl("--haproxy-protocol", f"{url}/environ").startswith(b"127.0.0.1 http ")
            if b"--haproxy-clientip" in curl("--help", "all"):
                answer = curl("--haproxy-clientip", "192.0.2.7", f"{url}/environ")
                assert answer.startswith(b"192.0.2.7 http ")


@pytest.mark.parametrize("path", ["", "blocks", "file"])
def test_wrk_has_no_errors(find_program, url, path):
    done = subprocess.run(
        [find_program("wrk"), "-t", "1", "-c", "50", "-d", "1s", f"{url}/{path}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert int(re.search(r"(\d+) requests in", done.stdout)[1]) > 0
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout


def test_http_client_keeps_its_connection(url):
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    for _ in range(2):
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"
        client.request(
            "POST", "/echo", iter([b"abc", b"def"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert client.getresponse().read() == b"abcdef"
        client.request("HEAD", "/file")
        answer = client.getresponse()
        assert answer.read() == b"" and answer.getheader("Content-Length") == str(BIG)
        client.request("GET", "/blocks")
        assert client.getresponse().read() == b"x" * BIG
    client.close()


def test_requests_sends_and_streams(url):
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(f"{url}/").text == "hello"
        assert session.post(f"{url}/echo", data=(each for each in [b"abc", b"def"])).content == b"abcdef"
        with session.get(f"{url}/blocks", stream=True) as answer:
            assert sum(map(len, answer.iter_content(1000))) == BIG
        assert session.get(f"{url}/connections").text == "1" == session.get(f"{url}/connections").text


def test_nginx_keeps_its_connections_to_a_unix_socket(nginx, curl):
    url, folder = nginx
    with serving("plain", "--forwarded-from", "unix", bind=f"unix:{folder}/socket"):
        Path(folder, "socket").chmod(0o666)  # nginx's workers run as another user
        answer = curl("-H", "X-Forwarded-For: 192.0.2.1", f"{url}/environ")
        assert answer == b"127.0.0.1 https 127.0.0.1 HTTP/1.1 GET"
        body = b"abc" * 100_000
        assert curl("-H", "Transfer-Encoding: chunked", "--data-binary", "@-", f"{url}/echo", data=body) == body
        assert curl(f"{url}/file") == b"y" * BIG
        for _ in range(20):
            assert int(curl(f"{url}/connections")) <= 4


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client_gets_an_answer(find_program, version):
    program = find_program("openssl")
    with serving("plain", "--certfile", CERTIFICATE, "--keyfile", KEY) as url:
        address = url.removeprefix("https://")
        done = subprocess.run(
            [program, "s_client", "-connect", address, version, "-ign_eof", "-quiet", "-CAfile", CERTIFICATE],
            input=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout.startswith(b"HTTP/1.1 200 OK\r\n") and done.stdout.endswith(b"\r\n\r\nhello")
        assert done.returncode == 0, done.stderr


def test_wsgirefs_validator_finds_nothing():
    with serving("validated") as url:
        client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        for method, body, length in (("GET", None, 0), ("POST", b"x" * 5000, 5000), ("PUT", iter([b"abc", b"de"]), 5)):
            client.request(method, "/a%20b?c=d", body, encode_chunked=not isinstance(body, bytes | None))
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"got %d" % length)
        client.request("HEAD", "/")
        assert client.getresponse().read() == b""
        client.close()


@pytest.mark.parametrize("framework", ["flask", "django"])
@pytest.mark.parametrize("patch", [[], ["--patch"]], ids=["unpatched", "patched"])
def test_frameworks_serve_their_applications(curl, framework, patch, tmp_path):
    pytest.importorskip(framework)
    upload = tmp_path / "upload.bin"
    upload.write_bytes(bytes(range(256)) * 10_000)
    jar = tmp_path / "cookies"
    # Flask logs the traceback.
    logged = ".*LookupError: secret\n" if framework == "flask" else ".*"
    with serving(f"with_{framework}()", *patch, logged=logged) as url:
        got = curl("-c", jar, "-F", "name=Ada", "-F", f"upload=@{upload}", f"{url}/form")
        assert json.loads(got) == {"name": "Ada", "size": upload.stat().st_size, "file": "upload.bin"}
        assert curl("-b", jar, f"{url}/name") == b"Ada"
        assert curl(f"{url}/stream") == b"0123456789"
        assert curl(f"{url}/file") == b"0123456789"
        if framework == "flask":
            assert curl("-H", "Range: bytes=2-5", "-w", " %{http_code}", f"{url}/file") == b"2345 206"
        crashed = curl("-w", "%{http_code}", f"{url}/crash")
        assert crashed.endswith(b"500") and b"secret" not in crashed


def test_the_standard_librarys_client_keeps_its_tls_connection():
    context = ssl.create_default_context(cafile=CERTIFICATE)
    with serving("plain", "--certfile", CERTIFICATE, "--keyfile", KEY) as url:
        client = http.client.HTTPSConnection("localhost", int(url.rpartition(":")[2]), timeout=30, context=context)
        for _ in range(3):
            client.request("POST", "/echo", b"abc" * 10_000)
            assert client.getresponse().read() == b"abc" * 10_000
        client.close()
