"""Subscribers and entry points of patching. Each in a process of its own."""

import os
import sys
import tempfile
import types

from shared import raises

from greenio import events, monkey


def _subscribe(*groups):
    told = []
    events.subscribers.append(told.append)
    return told


def subscribers_are_told_of_everything():
    told = _subscribe()
    assert monkey.patch_all(sys=True, mine=1) is True
    assert isinstance(told[0], events.WillPatchAllEvent)
    assert told[0].patch_all_arguments["socket"] is True and told[0].patch_all_arguments["sys"] is True
    assert told[0].patch_all_kwargs == {"mine": 1}
    assert told[0].will_patch_module("socket") and not told[0].will_patch_module("nothing")
    assert isinstance(told[-2], events.DidPatchBuiltinModulesEvent) and isinstance(told[-1], events.DidPatchAllEvent)
    assert told[-1].patch_all_kwargs == {"mine": 1}
    before = [each for each in told if isinstance(each, events.WillPatchModuleEvent)]
    after = [each for each in told if isinstance(each, events.DidPatchModuleEvent)]
    assert [each.module_name for each in before] == [each.module_name for each in after]
    names = {each.module_name for each in before}
    assert {"os", "_thread", "threading", "time", "socket", "select", "ssl", "subprocess", "signal", "queue"} <= names
    for each in before:
        assert each.target.__name__ == each.module_name and isinstance(each.source, types.ModuleType)
    (time,) = [each for each in before if each.module_name == "time"]
    assert time.target_item_names == ["pthread_getcpuclockid", "sleep"]
    assert "WillPatchModuleEvent" in repr(time) and "time" in repr(time)


def an_event_comes_before_its_module_is_patched():
    import time

    native, seen = time.sleep, []

    def subscriber(event):
        if isinstance(event, events.WillPatchModuleEvent) and event.module_name == "time":
            seen.append(time.sleep is native)
        if isinstance(event, events.DidPatchModuleEvent) and event.module_name == "time":
            seen.append(time.sleep is native)

    events.subscribers.append(subscriber)
    monkey.patch_all()
    assert seen == [True, False]


def a_subscriber_prevents_one_module():
    import time

    native = time.sleep

    def subscriber(event):
        if isinstance(event, events.WillPatchModuleEvent) and event.module_name == "time":
            raise events.DoNotPatch

    events.subscribers.append(subscriber)
    told = _subscribe()
    assert monkey.patch_all() is True
    assert time.sleep is native and not monkey.is_object_patched("time", "sleep")
    assert monkey.is_module_patched("socket")
    assert not [each for each in told if isinstance(each, events.DidPatchModuleEvent) and each.module_name == "time"]
    # The next patch_all() asks again.
    events.subscribers.remove(subscriber)
    assert monkey.patch_all() is True and time.sleep is not native


def a_subscriber_prevents_all():
    def subscriber(event):
        if isinstance(event, events.WillPatchAllEvent):
            raise events.DoNotPatch

    events.subscribers.append(subscriber)
    assert monkey.patch_all() is False
    assert not monkey.is_anything_patched()


def an_error_of_a_subscriber_is_raised():
    def subscriber(event):
        raise ValueError("from the subscriber")

    events.subscribers.append(subscriber)
    with raises(ValueError, "from the subscriber"):
        monkey.patch_all()
    assert not monkey.is_anything_patched()


def gevents_names():
    assert events.GeventWillPatchAllEvent is events.WillPatchAllEvent
    assert events.GeventDidPatchModuleEvent is events.DidPatchModuleEvent
    assert issubclass(events.DoNotPatch, BaseException) and not issubclass(events.DoNotPatch, Exception)


_PLUGIN = """
from greenio import events
told = []
def will_all(event):
    told.append("will all")
def will_module(event):
    told.append(event.module_name)
    if event.module_name == "queue":
        raise events.DoNotPatch
def did_module(event):
    told.append("did " + event.module_name)
def did_builtins(event):
    told.append("did builtins")
def did_all(event):
    told.append("did all")
"""
_ENTRY_POINTS = """
[greenio.plugins.monkey.will_patch_all]
mine = a_plugin:will_all
[greenio.plugins.monkey.will_patch_module]
mine = a_plugin:will_module
[greenio.plugins.monkey.did_patch_module]
mine = a_plugin:did_module
[greenio.plugins.monkey.did_patch_builtins]
mine = a_plugin:did_builtins
[greenio.plugins.monkey.did_patch_all]
mine = a_plugin:did_all
"""


def entry_points_of_installed_packages():
    with tempfile.TemporaryDirectory() as folder:
        metadata = os.path.join(folder, "a_plugin-1.0.dist-info")
        os.mkdir(metadata)
        for name, text in (
            (os.path.join(folder, "a_plugin.py"), _PLUGIN),
            (os.path.join(metadata, "entry_points.txt"), _ENTRY_POINTS),
            (os.path.join(metadata, "METADATA"), "Metadata-Version: 2.1\nName: a-plugin\nVersion: 1.0\n"),
        ):
            with open(name, "w") as file:
                file.write(text)
        sys.path.insert(0, folder)
        monkey.patch_all()
    import a_plugin

    told = a_plugin.told
    assert told[0] == "will all" and told[-2:] == ["did builtins", "did all"]
    assert {"time", "did time", "socket", "did socket"} <= set(told)
    assert "queue" in told and "did queue" not in told
    assert not monkey.is_module_patched("queue")


def adapters_can_be_switched_off():
    waiting = types.ModuleType("kombu.utils.compat")
    from greenio.monkey import adapters

    os.environ["GREENIO_NO_ADAPTERS"] = "psycopg, psycopg2"
    monkey.patch_all(kombu=False)
    assert adapters._installed == {"debugpy", "pycares", "zmq"} and waiting.__name__ in adapters.ADAPTERS["kombu"]
    os.environ["GREENIO_NO_ADAPTERS"] = "all"
    monkey.patch_all()
    assert adapters._installed == {"debugpy", "pycares", "zmq"}
    del os.environ["GREENIO_NO_ADAPTERS"]
    monkey.patch_all(psycopg2=False)
    assert adapters._installed == {"debugpy", "pycares", "zmq", "psycopg", "kombu"}
