from typing import Any, overload

from hub.native import saved as saved

from greenio.monkey.imports import when_imported as when_imported
from greenio.monkey.patching import MonkeyPatchWarning as MonkeyPatchWarning
from greenio.monkey.patching import is_anything_patched as is_anything_patched
from greenio.monkey.patching import is_module_patched as is_module_patched
from greenio.monkey.patching import is_object_patched as is_object_patched
from greenio.monkey.patching import patch_module as patch_module
from greenio.monkey.standard import patch_asyncio as patch_asyncio
from greenio.monkey.standard import patch_builtins as patch_builtins
from greenio.monkey.standard import patch_contextvars as patch_contextvars
from greenio.monkey.standard import patch_dns as patch_dns
from greenio.monkey.standard import patch_fcntl as patch_fcntl
from greenio.monkey.standard import patch_multiprocessing as patch_multiprocessing
from greenio.monkey.standard import patch_os as patch_os
from greenio.monkey.standard import patch_queue as patch_queue
from greenio.monkey.standard import patch_select as patch_select
from greenio.monkey.standard import patch_selectors as patch_selectors
from greenio.monkey.standard import patch_signal as patch_signal
from greenio.monkey.standard import patch_socket as patch_socket
from greenio.monkey.standard import patch_ssl as patch_ssl
from greenio.monkey.standard import patch_subprocess as patch_subprocess
from greenio.monkey.standard import patch_sys as patch_sys
from greenio.monkey.standard import patch_thread as patch_thread
from greenio.monkey.standard import patch_time as patch_time

__all__ = [
    "MonkeyPatchWarning",
    "get_original",
    "is_anything_patched",
    "is_module_patched",
    "is_object_patched",
    "patch_all",
    "patch_asyncio",
    "patch_builtins",
    "patch_contextvars",
    "patch_dns",
    "patch_fcntl",
    "patch_module",
    "patch_multiprocessing",
    "patch_os",
    "patch_queue",
    "patch_select",
    "patch_selectors",
    "patch_signal",
    "patch_socket",
    "patch_ssl",
    "patch_subprocess",
    "patch_sys",
    "patch_thread",
    "patch_time",
    "saved",
    "when_imported",
]

@overload
def get_original(mod_name: str | list[str] | tuple[str, ...], item_name: str) -> Any: ...
@overload
def get_original(mod_name: str | list[str] | tuple[str, ...], item_name: list[str] | tuple[str, ...]) -> list[Any]: ...
def patch_all(
    socket: bool = True,
    dns: bool = True,
    time: bool = True,
    select: bool = True,
    thread: bool = True,
    os: bool = True,
    ssl: bool = True,
    subprocess: bool = True,
    sys: bool = False,
    aggressive: bool = True,
    Event: bool = True,
    builtins: bool = True,
    signal: bool = True,
    queue: bool = True,
    contextvars: bool = True,
    *,
    fcntl: bool = True,
    multiprocessing: bool = True,
    asyncio: bool = True,
    **kwargs: Any,
) -> bool | None: ...
