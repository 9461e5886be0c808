"""Where things are in the checkout. Tests do not count folders upwards themselves, so they can be moved."""

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CHECKOUT = TESTS.parent
SCRIPTS = TESTS / "scripts"
CERTIFICATE = TESTS / "certificates" / "cert.pem"
KEY = TESTS / "certificates" / "key.pem"
# For other.example, where the first is for localhost.
OTHER_CERTIFICATE = TESTS / "certificates" / "other_cert.pem"
OTHER_KEY = TESTS / "certificates" / "other_key.pem"


def take_compiled_packages():
    """Test the installed greenio where the checkout's own is not compiled. Without either, say so and end.

    `python -m pytest` has the checkout on the path, even before what is installed.
    """
    if PathFinder.find_spec("stacks", [str(CHECKOUT / "hub")]) is None:
        sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != CHECKOUT]
    if find_spec("hub") is None:
        sys.exit(  # not pytest.exit(), which shows a traceback here
            f"greenio is not installed for {sys.executable}: run `{sys.executable} -m pip install '.[test]'` first, or "
            "`pip install -e '.[test,lint]'` to compile it in the checkout"
        )
