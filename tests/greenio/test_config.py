"""Settings: set by the environment or by assignment, and their effects."""

import os
import subprocess
import sys

import pytest

from greenio import config, spawn
from greenio.config import Config, boolean


@pytest.fixture
def restored():
    before = {name: getattr(config, name) for name in config.settings}
    yield
    for name, value in before.items():
        config.set(name, value)


def test_the_tree_can_be_turned_off(restored):
    config.track_greenlet_tree = False
    greenlet = spawn(int)
    assert greenlet.spawning_greenlet is None and greenlet.spawning_stack is None and greenlet.format_spawn() == ""
    assert greenlet.spawn_tree_locals is None
    greenlet.join()
    config.track_greenlet_tree = "yes"
    assert spawn(int).spawning_greenlet is not None


def test_the_number_of_recorded_frames_can_be_set(restored):
    config.spawning_stack_limit = 2
    frame, length = spawn(int).spawning_stack, 0
    while frame is not None:
        frame, length = frame.f_back, length + 1
    assert length == 2


@pytest.mark.parametrize(("text", "value"), [("1", True), ("YES", True), ("off", False), ("", False), (" true ", True)])
def test_words_are_understood_as_booleans(text, value):
    assert boolean(text) is value


def test_settings_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("GREENIO_TRACK_GREENLET_TREE", "no")
    monkeypatch.setenv("GREENIO_SPAWNING_STACK_LIMIT", "3")
    monkeypatch.setenv("GREENIO_RESOLVER", "dnspython")
    monkeypatch.setenv("GREENIO_RESOLVER_TIMEOUT", "1.5")
    monkeypatch.setenv("GREENIO_RESOLVER_NAMESERVERS", "192.0.2.1, [::1]:5353,")
    fresh = Config()
    assert fresh.track_greenlet_tree is False and fresh.spawning_stack_limit == 3
    assert fresh.resolver == "dnspython" and fresh.resolver_timeout == 1.5
    assert fresh.resolver_nameservers == ["192.0.2.1", "[::1]:5353"]


def test_nonsense_is_refused(restored):
    for value in (0, -1, "x", [], float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected seconds"):
            config.resolver_timeout = value
    for value in (0, "x", None):
        with pytest.raises(ValueError, match="greater than 0"):
            config.spawning_stack_limit = value
    config.resolver_timeout = "none"
    config.resolver_nameservers = []
    assert config.resolver_timeout is None and config.resolver_nameservers is None


@pytest.mark.parametrize(
    ("variable", "value", "setting"),
    [
        ("GREENIO_TRACK_GREENLET_TREE", "perhaps", "track_greenlet_tree"),
        ("GREENIO_SPAWNING_STACK_LIMIT", "0", "spawning_stack_limit"),
        ("GREENIO_SPAWNING_STACK_LIMIT", "many", "spawning_stack_limit"),
        ("GREENIO_RESOLVER", "quick", "resolver"),
        ("GREENIO_RESOLVER_TIMEOUT", "0", "resolver_timeout"),
        ("GREENIO_RESOLVER_TIMEOUT", "soon", "resolver_timeout"),
    ],
)
def test_nonsense_in_the_environment_is_named(monkeypatch, variable, value, setting):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"{variable}='{value}'"):
        getattr(Config(), setting)


def test_an_unknown_setting_is_named():
    with pytest.raises(AttributeError, match="spawning_stack_limit"):
        config.set("no_such_thing", 1)
    with pytest.raises(AttributeError, match="no_such_thing"):
        config.no_such_thing = 1


def run_config(**variables):
    return subprocess.run(
        [sys.executable, "-m", "greenio.config"], capture_output=True, text=True, timeout=60, cwd="/",
        env={**os.environ, **variables},
    )  # fmt: skip


def test_all_settings_can_be_listed():
    result = run_config()
    assert result.returncode == 0 and result.stderr == ""
    for name, setting in config.settings.items():
        assert f"{name} ({setting.environment_key}) = " in result.stdout


def test_a_listing_of_nonsense_ends_in_one_line():
    result = run_config(GREENIO_RESOLVER_TIMEOUT="soon")
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("greenio.config: GREENIO_RESOLVER_TIMEOUT='soon': expected seconds")
