"""``python -m greenio.config``: prints every setting, with its variable and its value."""

import sys

from greenio.config import config

try:
    config.print_help()
except ValueError as error:  # of a variable that makes no sense
    sys.exit(f"greenio.config: {error}")
