"""Where things are in the checkout. Tests do not count folders upwards themselves, so they can be moved."""

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CHECKOUT = TESTS.parent
SCRIPTS = TESTS / "scripts"
CERTIFICATE = TESTS / "certificates" / "cert.pem"
KEY = TESTS / "certificates" / "key.pem"
