"""Greenlet-local data."""

import contextlib
import copy
import gc
import threading
import warnings
import weakref

import greenlet
import pytest
from waiting import let_others_run, until

from greenio import getcurrent, joinall, sleep, spawn, spawn_raw
from greenio.local import all_local_dicts_for_greenlet, local


class Value:
    """An object that can have weak references."""


def test_each_greenlet_has_its_own_data():
    data = local()
    data.value = "main"

    def work(number):
        assert not hasattr(data, "value")
        data.value = number
        sleep(0)
        assert data.__dict__ == {"value": number}
        return data.value

    assert [job.get() for job in [spawn(work, number) for number in range(5)]] == list(range(5))
    assert data.value == "main" and vars(data) == {"value": "main"}
    del data.value
    with pytest.raises(AttributeError):
        data.value  # noqa: B018
    with pytest.raises(AttributeError):
        del data.value


def test_each_thread_has_its_own_data():
    data, seen = local(), []
    data.value = 1

    def work(number):
        seen.append(hasattr(data, "value"))
        data.value = number
        spawn(lambda: seen.append(hasattr(data, "value"))).get()
        seen.append(data.value == number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [False] * 6 + [True] * 3 and data.value == 1


class Initialised(local):
    __slots__ = ("shared",)

    calls = 0

    def __init__(self, value, *, other=0):
        Initialised.calls += 1
        self.value = [value, other]

    @property
    def first(self):
        return self.value[0]

    def change(self):
        self.value[0] += 1


def test_init_runs_for_each_greenlet():
    Initialised.calls = 0
    data = Initialised(1, other=2)
    assert data.value == [1, 2]
    data.change()
    data.shared = "all"
    assert spawn(lambda: (data.first, data.value, data.shared)).get() == (1, [1, 2], "all")
    assert data.first == 2 and Initialised.calls == 2
    with pytest.raises(AttributeError):
        data.first = 3


class Fails(local):
    """Its __init__ fails at the first call in each greenlet, but not in the one that makes the object."""

    def __init__(self, tries):
        tries.append(greenlet.getcurrent())
        if tries[0] is not tries[-1] and tries.count(tries[-1]) == 1:
            self.half = True
            sleep(0)
            raise ConnectionError("not yet")
        self.value = len(tries)


def test_an_init_that_fails_is_called_again():
    tries = []
    data = Fails(tries)

    def work():
        for use in (lambda: data.value, lambda: setattr(data, "value", 0), lambda: copy.copy(data)):
            with pytest.raises(ConnectionError):
                use()
            assert all_local_dicts_for_greenlet(greenlet.getcurrent()) == []
            tries.remove(greenlet.getcurrent())
        tries.append(greenlet.getcurrent())
        assert not hasattr(data, "half")
        return data.value

    assert spawn(work).get() == 3 and data.value == 1


class Equal(local):
    """Compares by value and has no hash, like a dataclass."""

    def __eq__(self, other):
        return type(other) is type(self)


def test_equal_locals_have_different_data():
    made = [Equal(), Equal()]
    made[0].value, made[1].value = 1, 2
    known = [each["value"] for (kind, _), each in all_local_dicts_for_greenlet(greenlet.getcurrent()) if kind is Equal]
    assert sorted(known) == [1, 2]
    assert spawn(lambda: (hasattr(made[0], "value"), setattr(made[1], "value", 3))).get() == (False, None)
    address = id(made.pop(0))
    assert made[0].value == 2
    assert (Equal, address) not in [each for each, _ in all_local_dicts_for_greenlet(greenlet.getcurrent())]


def test_arguments_without_an_init_are_refused():
    with pytest.raises(TypeError, match="__init__"):
        local(1)


def test_the_dict_is_read_only():
    data = local()
    with pytest.raises(AttributeError, match="read-only"):
        data.__dict__ = {}
    with pytest.raises(AttributeError, match="read-only"):
        del data.__dict__


@pytest.mark.parametrize("start", [spawn, spawn_raw])
def test_data_are_freed_when_the_greenlet_has_finished(start):
    data = local()
    reference = []

    def work():
        data.value = Value()
        reference.append(weakref.ref(data.value))

    job = start(work)
    until(lambda: job.dead)
    let_others_run()
    assert reference[0]() is None
    assert job.dead


def test_data_are_freed_when_a_bare_greenlet_is_collected():
    data = local()
    data.value = None
    bare = greenlet.greenlet(lambda: setattr(data, "value", Value()))
    bare.switch()
    assert len(all_local_dicts_for_greenlet(bare)) == 1
    del bare
    gc.collect()
    assert data.value is None


def test_data_are_freed_with_the_local():
    holder = [local()]
    values = []

    def fill():
        holder[0].value = Value()
        values.append(weakref.ref(holder[0].value))

    def work():
        fill()
        sleep(0.005)

    fill()
    job = spawn(work)
    sleep(0)
    holder.clear()
    gc.collect()
    assert [value() for value in values] == [None, None] and job.started
    job.join()


def test_many_locals_in_one_greenlet_leave_nothing():
    def work():
        for _ in range(1000):
            made = local()
            made.value = 1
        return len(all_local_dicts_for_greenlet(getcurrent()))

    assert spawn(work).get() <= 1


def test_a_copy_has_the_data_and_is_independent():
    data = Initialised(1)
    data.change()
    twin = copy.copy(data)
    assert type(twin) is Initialised and twin.value == [2, 0]
    twin.extra = 1
    assert not hasattr(data, "extra")


def test_init_may_switch():
    class Slow(local):
        def __init__(self):
            self.one = 1
            sleep(0)
            self.two = 2

    data = Slow()
    assert [job.get() for job in [spawn(lambda: (data.one, data.two)) for _ in range(3)]] == [(1, 2)] * 3


def test_a_greenlet_gets_no_data_of_one_that_had_its_address():
    """Greenlets that never finished go with their thread, and others get their addresses."""
    data = local()

    def stubborn():
        data.user = "alice"
        while True:
            with contextlib.suppress(BaseException):
                sleep(1000)

    def thread():
        for _ in range(50):
            spawn(stubborn)
            spawn_raw(stubborn)
        sleep(0.001)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        started = threading.Thread(target=thread)
        started.start()
        started.join()
    del started
    gc.collect()
    seen = []
    for _ in range(100):
        joinall([spawn(lambda: seen.append(getattr(data, "user", None))) for _ in range(10)])
    assert set(seen) == {None}


def test_a_dict_that_is_kept_keeps_its_data():
    data = local()
    data.number = 2
    kept = vars(data)
    del data
    assert kept == {"number": 2}
