"""Clients for HTTP and websockets: the server answers when as many requests wait for it as there are greenlets."""

from pathlib import Path

import pytest

CERTIFICATES = Path(__file__).parents[1] / "certificates"


def test_requests(run_program):
    pytest.importorskip("requests")
    printed = run_program("http_clients", "with_requests")
    assert printed == "gone\ntimeout\nkilled True\n/after\n"


def test_urllib3(run_program):
    pytest.importorskip("urllib3")
    printed = run_program("http_clients", "with_urllib3")
    assert printed == "connections 50\nexhausted\n/after\ntimeout\n"


def test_httpx(run_program):
    pytest.importorskip("httpx")
    printed = run_program("http_clients", "with_httpx")
    assert printed == "gone\ntimeout\nexhausted\n/after\n"


@pytest.mark.parametrize("truststore", [False, True], ids=["plain", "truststore"])
def test_urllib3_over_tls(run_program, truststore):
    pytest.importorskip("urllib3")
    if truststore:
        pytest.importorskip("truststore")
    files = CERTIFICATES / "cert.pem", CERTIFICATES / "key.pem"
    printed = run_program("http_clients", "with_urllib3_over_tls", *files, *(["truststore"] if truststore else []))
    assert printed == f"{'truststore._api' if truststore else 'ssl'}\ntimeout\ndistrusted\n"


def test_websocket_client(run_program):
    pytest.importorskip("websocket")
    pytest.importorskip("websockets")
    printed = run_program("http_clients", "with_websocket_client")
    assert printed == "timeout\nAFTER\ngone\nHELLO\n"
