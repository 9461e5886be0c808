"""Clients for HTTP and websockets: the server answers when as many requests wait for it as there are greenlets."""

from pathlib import Path

import pytest

CERTIFICATES = Path(__file__).parents[1] / "certificates"


def test_requests_goes_on_after_timeouts_and_kills(run_program):
    pytest.importorskip("requests")
    printed = run_program("http_clients", "with_requests")
    assert printed == "gone\ntimeout\nkilled True\n/after\n"


def test_urllib3_has_a_pool_that_many_share(run_program):
    pytest.importorskip("urllib3")
    printed = run_program("http_clients", "with_urllib3")
    assert printed == "connections 50\nexhausted\n/after\ntimeout\n"


def test_httpx_goes_on_after_timeouts(run_program):
    pytest.importorskip("httpx")
    printed = run_program("http_clients", "with_httpx")
    assert printed == "gone\ntimeout\nexhausted\n/after\n"


@pytest.mark.parametrize("truststore", [False, True], ids=["plain", "truststore"])
def test_urllib3_checks_certificates_over_tls(run_program, truststore):
    pytest.importorskip("urllib3")
    if truststore:
        pytest.importorskip("truststore")
    files = CERTIFICATES / "cert.pem", CERTIFICATES / "key.pem"
    printed = run_program("http_clients", "with_urllib3_over_tls", *files, *(["truststore"] if truststore else []))
    assert printed == f"{'truststore._api' if truststore else 'ssl'}\ntimeout\ndistrusted\n"


def test_a_websocket_client_goes_on_after_a_timeout(run_program):
    pytest.importorskip("websocket")
    pytest.importorskip("websockets")
    printed = run_program("http_clients", "with_websocket_client")
    assert printed == "timeout\nAFTER\ngone\nHELLO\n"
