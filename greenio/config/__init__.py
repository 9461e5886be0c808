"""Settings, read once from the environment (GREENIO_*), and assignable before they are used.

``python -m greenio.config`` prints them. Nothing in this module switches.
"""

from __future__ import annotations

import os

from hub.generic import Generic, T

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, overload

    from _typeshed import SupportsWrite
    from hub.hub import Hub
    from typing_extensions import Self

__all__ = ["Config", "config"]


class Setting(Generic[T]):
    """One setting: a Python descriptor that reads its environment variable on first use.

    `convert` makes the value from a text, or raises ValueError. `apply` is called with each value that is set.
    """

    def __init__(
        self,
        environment_key: str,
        default: T,
        convert: Callable[[Any], T],
        description: str,
        apply: Callable[[T], object] | None = None,
    ) -> None:
        self.environment_key = environment_key
        self.default = default
        self.convert = convert
        self.__doc__ = self.description = description
        self.apply = apply

    def __set_name__(self, owner: type[Config], name: str) -> None:
        self.name = name
        owner.settings[name] = self

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Config] | None = None) -> Self: ...
        @overload
        def __get__(self, instance: Config, owner: type[Config] | None = None) -> T: ...

    def __get__(self, instance: Config | None, owner: type[Config] | None = None) -> Any:
        if instance is None:
            return self
        values = instance.__dict__.setdefault("values", {})
        if self.name not in values:
            text = os.environ.get(self.environment_key)
            if text is None:
                values[self.name] = self.default
            else:
                try:
                    values[self.name] = self.convert(text)
                except ValueError as error:
                    raise ValueError(f"{self.environment_key}={text!r}: {error}") from None
        return values[self.name]

    def __set__(self, instance: Config, value: T | str) -> None:
        value = self.convert(value)
        instance.__dict__.setdefault("values", {})[self.name] = value
        if self.apply is not None:
            self.apply(value)


def boolean(text: object) -> bool:
    """Convert a word of an environment variable, or any object, to True or False. Raises ValueError for other words."""
    if not isinstance(text, str):
        return bool(text)
    lowered = text.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off", ""):
        return False
    raise ValueError(f"expected one of 1, true, yes, on, 0, false, no, off; got {text!r}")


def _apply_track_tree(value):
    from greenio._tasks.spawn_place import set_track_tree

    set_track_tree(value)


def positive(text: str | float) -> int:
    """Convert to an int greater than 0. Raises ValueError for others."""
    try:
        value = int(text)
    except (TypeError, ValueError):
        value = 0
    if value <= 0:
        raise ValueError(f"expected a number greater than 0, got {text!r}")
    return value


def seconds(text: str | float | None) -> float | None:
    """Convert to seconds (float) greater than 0, or to None for "" and "none". Raises ValueError for others."""
    if text is None or (isinstance(text, str) and text.strip().lower() in ("", "none")):
        return None
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = 0
    if not 0 < value < float("inf"):
        raise ValueError(f"expected seconds, a number greater than 0, or none; got {text!r}")
    return value


def comma_separated(text: str | Iterable[str] | None) -> list[str] | None:
    """Convert a text with commas to the list of its parts, without empty ones; None if no part is left."""
    if text is None:
        return None
    parts = text.split(",") if isinstance(text, str) else text
    return [part.strip() for part in parts if part.strip()] or None


def resolver_choice(value: str | Callable[[Hub], Any]) -> str | Callable[[Hub], Any]:
    """Check the setting `resolver`: a name that greenio knows, a dotted path, or a callable; else ValueError."""
    if isinstance(value, str):
        value = value.strip()
        if value in ("thread", "ares", "dnspython") or "." in value.strip("."):
            return value
    elif callable(value):
        return value
    raise ValueError(f"expected thread, ares, dnspython, the dotted path of a class, or a callable; got {value!r}")


def _apply_stack_limit(value):
    from greenio._tasks.spawn_place import set_spawning_stack_limit

    set_spawning_stack_limit(value)


class Config:
    """All settings, as attributes; ``greenio.config`` is the one instance.

    Assigning to another attribute raises AttributeError, a wrong value ValueError.
    """

    settings: dict[str, Setting[Any]] = {}

    track_greenlet_tree: Setting[bool] = Setting(
        "GREENIO_TRACK_GREENLET_TREE",
        True,
        boolean,
        "Record for each greenlet its spawner and the place. Costs about a microsecond for each greenlet.",
        _apply_track_tree,
    )
    spawning_stack_limit: Setting[int] = Setting(
        "GREENIO_SPAWNING_STACK_LIMIT",
        10,
        positive,
        "How many frames of the place of spawning are recorded for each greenlet, at most 32.",
        _apply_stack_limit,
    )

    resolver: Setting[str | Callable[[Hub], Any]] = Setting(
        "GREENIO_RESOLVER",
        "thread",
        resolver_choice,
        "How names are looked up: thread (the system's resolver, in threads), ares (needs pycares), dnspython, or the "
        "dotted path of a class that is called with the hub. Read when a hub first looks a name up.",
    )
    resolver_timeout: Setting[float | None] = Setting(
        "GREENIO_RESOLVER_TIMEOUT",
        None,
        seconds,
        "How many seconds a lookup may take before it fails with gaierror(EAI_AGAIN). "
        "None: as long as the resolver tries.",
    )
    resolver_nameservers: Setting[list[str] | None] = Setting(
        "GREENIO_RESOLVER_NAMESERVERS",
        None,
        comma_separated,
        "The addresses of the name servers to ask, with commas between them; each may have a port: 192.0.2.1:5353, "
        "[2001:db8::1]:5353. None: the system's name servers. The resolver `thread` always asks those. Read when a "
        "hub first looks a name up.",
    )

    def set(self, name: str, value: Any) -> None:
        """Set a setting by its name (str). Raises AttributeError for another name, ValueError for a wrong value."""
        if name not in self.settings:
            raise AttributeError(f"there is no setting {name!r}; there are {', '.join(sorted(self.settings))}")
        setattr(self, name, value)

    if not TYPE_CHECKING:  # type checkers know the settings, too

        def __setattr__(self, name: str, value: Any) -> None:
            if name not in self.settings:
                raise AttributeError(f"there is no setting {name!r}; there are {', '.join(sorted(self.settings))}")
            super().__setattr__(name, value)

    def apply(self) -> None:
        """Let the settings of the environment take effect. Called once, on import."""
        for name, setting in self.settings.items():
            if setting.apply is not None:
                setting.apply(getattr(self, name))

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print every setting to `file`, by default standard output: its variable, its value and its description."""
        for name, setting in sorted(self.settings.items()):
            print(f"{name} ({setting.environment_key}) = {getattr(self, name)!r}\n    {setting.description}", file=file)


config = Config()
