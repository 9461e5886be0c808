"""pyuv, compiled into the hub's extension: every pyuv handle, to be made on ``get_hub().loop.uv``.

This is pyuv 1.4.0 by Saúl Ibarra Corretgé, with libuv as it carries it; its documentation applies.
"""

from __future__ import annotations

from hub.loop import cpyuv as _cpyuv  # type: ignore[attr-defined]  # the stub leaves it out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    # pyuv has no types.
    def __getattr__(name: str) -> Any: ...


__version__ = "1.4.0"

globals().update({name: value for name, value in vars(_cpyuv).items() if not name.startswith("__")})
__all__ = [name for name in vars(_cpyuv) if not name.startswith("_")]
