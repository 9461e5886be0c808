from collections.abc import Callable
from subprocess import DEVNULL as DEVNULL
from subprocess import PIPE as PIPE
from subprocess import STDOUT as STDOUT
from subprocess import CalledProcessError as CalledProcessError
from subprocess import CompletedProcess as CompletedProcess
from subprocess import Popen as _Popen
from subprocess import SubprocessError as SubprocessError
from subprocess import TimeoutExpired as TimeoutExpired
from subprocess import call as call
from subprocess import check_call as check_call
from subprocess import check_output as check_output
from subprocess import getoutput as getoutput
from subprocess import getstatusoutput as getstatusoutput
from subprocess import run as run
from typing import Any, AnyStr, Literal, overload

__all__ = [
    "CalledProcessError",
    "CompletedProcess",
    "DEVNULL",
    "PIPE",
    "Popen",
    "STDOUT",
    "SubprocessError",
    "TimeoutExpired",
    "call",
    "check_call",
    "check_output",
    "getoutput",
    "getstatusoutput",
    "run",
]

class Popen(_Popen[AnyStr]):
    # The other arguments are those of subprocess.Popen.
    @overload
    def __init__(self: Popen[str], args: Any, *others: Any, text: Literal[True], **named: Any) -> None: ...
    @overload
    def __init__(self: Popen[str], args: Any, *others: Any, encoding: str, **named: Any) -> None: ...
    @overload
    def __init__(self: Popen[str], args: Any, *others: Any, errors: str, **named: Any) -> None: ...
    @overload
    def __init__(
        self: Popen[str], args: Any, *others: Any, universal_newlines: Literal[True], **named: Any
    ) -> None: ...
    @overload
    def __init__(
        self: Popen[bytes],
        args: Any,
        *others: Any,
        text: Literal[False] | None = None,
        encoding: None = None,
        errors: None = None,
        universal_newlines: Literal[False] | None = None,
        **named: Any,
    ) -> None: ...
    @overload
    def __init__(self: Popen[Any], args: Any, *others: Any, **named: Any) -> None: ...
    def ready(self) -> bool: ...
    def rawlink(self, callback: Callable[[Popen[Any]], object]) -> None: ...
    def unlink(self, callback: Callable[[Popen[Any]], object]) -> None: ...
