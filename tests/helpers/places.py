"""The paths of folders and files in the checkout. Tests take paths from here, so that they can be moved."""

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CHECKOUT = TESTS.parent
SCRIPTS = TESTS / "scripts"
CERTIFICATE = TESTS / "certificates" / "cert.pem"
KEY = TESTS / "certificates" / "key.pem"
# This certificate is for other.example, the one above for localhost.
OTHER_CERTIFICATE = TESTS / "certificates" / "other_cert.pem"
OTHER_KEY = TESTS / "certificates" / "other_key.pem"


def take_compiled_packages():
    """Have the tests import the installed greenio if the checkout's own is not compiled. Exits if there is neither.

    `python -m pytest` puts the checkout on the path, before the installed packages.
    """
    if PathFinder.find_spec("stacks", [str(CHECKOUT / "hub")]) is None:
        sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != CHECKOUT]
    if find_spec("hub") is None:
        sys.exit(  # not pytest.exit(), which shows a traceback here
            f"greenio is not installed for {sys.executable}: run `{sys.executable} -m pip install '.[test]'` first, or "
            "`pip install -e '.[test,lint]'` to compile it in the checkout"
        )
