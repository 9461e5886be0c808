"""Greenlet: its life, its result, its name and its links."""

import contextvars
import gc
import re
import sys
import weakref
from contextlib import ExitStack

import greenlet as greenlet_module
import pytest
from hub import BlockingSwitchOutError
from waiting import let_others_run, until

from greenio import (
    Greenlet,
    GreenletExit,
    Timeout,
    get_hub,
    getcurrent,
    idle,
    joinall,
    sleep,
    spawn,
    spawn_later,
    spawn_raw,
)
from greenio.pool import Group, Pool


def fail(error=ValueError):
    raise error("failed")


class TestLife:
    def test_states_from_start_to_end(self):
        g = Greenlet(lambda: "value")
        assert not g and not g.ready() and not g.dead and not g.started and g.value is None
        g.start()
        assert g and g.started and not g.ready() and not g.successful()
        g.start()
        g.start_later(100)  # a second start has no effect
        assert g.get() == "value"
        assert not g and g.ready() and g.dead and g.successful() and g.value == "value"
        assert g.exception is None and not g.exc_info

    def test_spawn_does_not_run_it_yet(self):
        ran = []
        g = spawn(ran.append, 1)
        assert ran == []
        g.join()
        assert ran == [1]

    def test_arguments_are_kept_until_the_end(self):
        g = spawn(lambda *args, **kwargs: (args, kwargs), 1, 2, key=3)
        assert g.args == (1, 2) and g.kwargs == {"key": 3}
        assert g.get() == ((1, 2), {"key": 3})
        assert g.args == () and g.kwargs == {}

    def test_arguments_are_freed(self):
        class Big:
            pass

        big = Big()
        gone = weakref.ref(big)
        g = spawn(lambda argument: None, big)
        del big
        g.join()
        assert gone() is None

    def test_a_greenlet_without_a_function_returns_none(self):
        assert spawn().get() is None

    @pytest.mark.parametrize("make", [spawn, Greenlet, spawn_raw])
    def test_an_object_that_cannot_be_called_is_refused(self, make):
        with pytest.raises(TypeError, match="callable"):
            make(5)

    @pytest.mark.parametrize(
        "make",
        [
            spawn,
            spawn_raw,
            Greenlet.spawn,
            Pool(2).spawn,
            Group().spawn,
            lambda *args, **kwargs: spawn_later(0, *args, **kwargs),
            lambda *args, **kwargs: Greenlet.spawn_later(0, *args, **kwargs),
        ],
    )
    @pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1,), {}), ((), {"key": 1})])
    def test_a_result_in_place_of_a_function_is_refused(self, make, args, kwargs):
        """Somebody wrote spawn(work()) and meant spawn(work): work() has returned None."""
        with pytest.raises(TypeError, match=r"must be callable, not None: spawn\(f, x\) has it call f\(x\)"):
            make(None, *args, **kwargs)

    def test_spawn_later_starts_after_its_delay(self):
        order = []
        later = spawn_later(0.002, order.append, "later")
        soon = spawn_later(0, order.append, "soon")
        joinall([later, soon])
        assert order == ["soon", "later"]
        with pytest.raises(TypeError):
            spawn_later(1)
        with pytest.raises(ValueError, match="NaN"):
            spawn_later(float("nan"), print)

    def test_a_subclass_runs_its_own_run(self):
        class Doubles(Greenlet):
            def __init__(self, number):
                super().__init__()
                self.number = number

            def _run(self):
                return self.number * 2

        g = Doubles(4)
        g.start()
        assert g.get() == 8
        assert Doubles.spawn(5).get() == 10

        class Takes(Greenlet):
            def _run(self, a, b):
                return a + b

        assert Takes(None, 1, 2).__class__ is Takes
        g = Takes(None, 1, 2)
        g.start()
        assert g.get() == 3

    def test_depth_of_spawning_is_not_depth_of_recursion(self):
        """Each greenlet starts the next. The hub runs them all, so none inherits the recursion depth of another."""

        def chain(left):
            return left if left == 0 else spawn(chain, left - 1).get()

        assert spawn(chain, 3000).get() == 0

    def test_get_raises_the_error_of_the_function_each_time(self, quiet):
        g = spawn(fail)
        g.join()
        assert not g.successful() and g.ready() and g.value is None
        kind, error, traceback = g.exc_info
        assert kind is ValueError and error is g.exception and traceback.tb_next.tb_frame.f_code.co_name == "fail"
        for _ in range(3):
            with pytest.raises(ValueError, match="failed") as caught:
                g.get()
            assert caught.value is error
            names = [entry.name for entry in caught.traceback]
            assert names[-1] == "fail" and names.count("fail") == 1, "get() has made the traceback longer"

    def test_exit_counts_as_success(self):
        exit = GreenletExit("enough")

        def leave():
            raise exit

        g = spawn(leave)
        assert g.get() is exit and g.successful() and g.exception is None

    def test_get_without_waiting(self):
        g = spawn(sleep, 60)
        with pytest.raises(Timeout):
            g.get(block=False)
        with pytest.raises(Timeout) as caught:
            g.get(timeout=0)
        assert caught.value.seconds == 0
        assert g.join(timeout=0) is None and not g.ready()
        g.kill()
        assert isinstance(g.get(block=False), GreenletExit)

    def test_timeouts_of_get_and_join(self):
        g = spawn(sleep, 10)
        assert g.join(0.001) is None
        with pytest.raises(Timeout, match="0.001 seconds"):
            g.get(timeout=0.001)
        g.kill()

    def test_it_cannot_join_itself(self, quiet):
        g = spawn(lambda: getcurrent().join())
        with pytest.raises(RuntimeError, match="its own end"):
            g.get()

    def test_join_from_the_hub_is_an_error(self, errors):
        g = spawn(sleep, 0.01)
        get_hub().run_callback(g.join)
        g.join()
        assert BlockingSwitchOutError.__name__ in errors.getvalue()

    def test_a_with_block_joins_or_kills_at_its_end(self, quiet):
        with Greenlet.spawn(sleep, 0.001) as g:
            assert not g.ready()
        assert g.ready() and g.successful()
        with pytest.raises(KeyError), Greenlet.spawn(sleep, 10) as g:
            raise KeyError("body")
        assert g.ready() and isinstance(g.exception, KeyError)

    def test_many_joiners_wake_in_order(self):
        target = spawn(sleep, 0.001)
        order = []

        def joiner(number):
            target.join()
            order.append(number)

        joinall([spawn(joiner, number) for number in range(20)])
        assert order == list(range(20))

    def test_a_greenlet_that_waits_is_not_collected(self):
        done = []

        def work():
            sleep(0.002)
            done.append(1)

        spawn(work)
        sleep(0)
        gc.collect()
        until(lambda: done)

    def test_results_do_not_keep_frames(self):
        class Local:
            pass

        gone = []

        def work():
            local = Local()
            gone.append(weakref.ref(local))
            return 1

        g = spawn(work)
        g.join()
        assert gone[0]() is None


class TestLinks:
    def test_each_kind_of_link_is_called_for_its_outcome(self, quiet):
        got = []
        good, bad = spawn(lambda: 1), spawn(fail)
        for g in (good, bad):
            g.link(lambda source: got.append(("link", source is good)))
            g.link_value(lambda source: got.append(("value", source is good)))
            g.link_exception(lambda source: got.append(("exception", source is good)))
            g.rawlink(lambda source: got.append(("raw", source is good)))
        assert good.has_links() == 4
        joinall([good, bad])
        until(lambda: len(got) == 6)
        let_others_run()
        assert sorted(got) == sorted([
            ("link", True), ("value", True), ("raw", True), ("link", False), ("exception", False), ("raw", False),
        ])  # fmt: skip

    def test_links_run_in_greenlets_and_raw_links_on_the_hub(self):
        places = []
        g = spawn(lambda: None)
        g.link(lambda source: (sleep(0), places.append(getcurrent())))
        g.rawlink(lambda source: places.append(getcurrent()))
        g.join()
        until(lambda: len(places) == 2)
        raw, linked = places
        assert raw is get_hub() and linked is not get_hub() and linked is not get_hub().main

    def test_links_made_after_the_end_are_called_soon(self):
        g = spawn(lambda: None)
        g.join()
        got = []
        g.link(got.append)
        g.rawlink(got.append)
        assert got == []
        until(lambda: len(got) == 2)
        assert got == [g, g]

    def test_a_link_that_was_taken_back_is_not_called(self):
        got = []
        g = spawn(lambda: None)
        g.link(got.append)
        g.rawlink(got.append)
        g.link(print)
        g.unlink(got.append)
        g.unlink(got.append)
        g.unlink(len)  # was never a link
        g.unlink(print)
        assert g.has_links() == 0
        g.link(got.append)
        g.unlink_all()
        g.join()
        let_others_run()
        assert got == []

    def test_a_failing_link_does_not_stop_the_others(self, errors):
        got = []
        g = spawn(lambda: None)
        g.rawlink(fail)
        g.link(fail)
        g.rawlink(got.append)
        g.join()
        until(lambda: got)
        assert got == [g]
        assert errors.getvalue().count("failed with TypeError") == 2

    def test_a_link_that_cannot_be_called_is_refused(self):
        g = Greenlet()
        for link in (g.link, g.rawlink, g.link_value, g.link_exception):
            with pytest.raises(TypeError, match="callable"):
                link(5)


class TestPlaces:
    def test_the_name_is_a_number_until_one_is_set(self):
        g = Greenlet(sleep, 1)
        assert g.name == f"Greenlet-{g.minimal_ident}" and g.name in repr(g) and "sleep(1)" in repr(g)
        g.name = "worker"
        assert '"worker"' in repr(g)

    def test_idents_are_small_and_used_again(self):
        first = Greenlet()
        ident = first.minimal_ident
        assert Greenlet().minimal_ident != ident
        many = [Greenlet() for _ in range(10)]
        idents = {g.minimal_ident for g in many}
        assert len(idents) == 10 and ident not in idents and max(idents) < 10_000
        del first
        gc.collect()
        assert min(ident, *idents) == ident or Greenlet().minimal_ident == ident

    def test_children_share_the_tree_locals_of_their_spawner(self):
        def child():
            return getcurrent().spawning_greenlet(), getcurrent().spawn_tree_locals

        def parent():
            getcurrent().spawn_tree_locals["key"] = "value"
            return getcurrent(), spawn(child).get()

        me, (spawner, tree) = spawn(parent).get()
        assert spawner is me and tree is me.spawn_tree_locals and tree == {"key": "value"}
        assert me.spawning_greenlet() is get_hub().main

    def test_the_spawning_stack_begins_where_it_was_made(self):
        g = Greenlet(sleep)
        line = sys._getframe().f_lineno - 1
        frame = g.spawning_stack
        assert (frame.f_lineno, frame.f_code.co_name) == (line, "test_the_spawning_stack_begins_where_it_was_made")
        assert frame.f_back is not None
        assert g.format_spawn() == f"{__file__}:{line} in {frame.f_code.co_name}"

    def test_the_place_of_spawning_is_a_line_of_the_program(self):
        """It is no line of the standard library, which calls spawn() here, nor of greenio's pools."""
        seen = []
        add = seen.append
        Greenlet.add_spawn_callback(add)
        try:
            with ExitStack() as stack:
                stack.callback(spawn, sleep)
            Pool(1).apply(sleep)
        finally:
            Greenlet.remove_spawn_callback(add)
        for each in seen:
            assert re.fullmatch(rf"{re.escape(__file__)}:\d+ in test_the_place_of_spawning_is_.*", each.format_spawn())
        assert len(seen) == 2
        joinall(seen)

    def test_spawn_callbacks_are_told_of_each_start(self):
        seen = []
        Greenlet.add_spawn_callback(seen.append)
        try:
            g = Greenlet(sleep)
            assert seen == []
            g.start()
            later = spawn_later(0.001, sleep)
            assert seen == [g, later]
        finally:
            Greenlet.remove_spawn_callback(seen.append)
        Greenlet.remove_spawn_callback(seen.append)
        joinall([g, later, spawn(sleep)])
        assert len(seen) == 2


class TestContext:
    variable = contextvars.ContextVar("variable", default="unset")

    def test_a_greenlet_has_a_copy_of_its_spawners_context(self):
        token = self.variable.set("spawner's")
        try:

            def work():
                before = self.variable.get()
                self.variable.set("greenlet's")
                sleep(0)
                return before, self.variable.get()

            assert spawn(work).get() == ("spawner's", "greenlet's")
            assert self.variable.get() == "spawner's"
        finally:
            self.variable.reset(token)

    def test_a_context_that_is_given_is_used(self):
        context = contextvars.Context()
        context.run(self.variable.set, "chosen")
        assert spawn(self.variable.get, context=context).get() == "chosen"
        assert Greenlet(None, context=context).gr_context is context

    def test_each_greenlet_has_a_context_of_its_own(self):
        def work(number):
            self.variable.set(number)
            for _ in range(5):
                sleep(0)
                assert self.variable.get() == number

        joinall([spawn(work, number) for number in range(10)], raise_error=True)
        assert self.variable.get() == "unset"


class TestReports:
    def test_an_uncaught_error_is_reported_with_name_and_place(self, errors):
        g = spawn(fail)
        line = sys._getframe().f_lineno - 1
        g.name = "the culprit"
        g.join()
        text = errors.getvalue()
        assert text.startswith("Traceback") and "ValueError: failed" in text
        assert (
            '"the culprit"' in text
            and f"test_greenlet.py:{line} in test_an_uncaught_error_is_reported_with_name_and_place" in text
        )

    @pytest.mark.parametrize("exception", [GreenletExit, SystemExit])
    def test_an_exit_is_not_reported(self, errors, exception):
        if exception is SystemExit:
            with pytest.raises(SystemExit):
                spawn(fail, exception).join()
                sleep(1)
        else:
            spawn(fail, exception).join()
        assert errors.getvalue() == ""

    @pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit, SystemError])
    def test_errors_that_end_the_program_reach_the_main_greenlet(self, quiet, fatal):
        with pytest.raises(fatal, match="failed"):
            spawn(fail, fatal).join()
            sleep(5)

    def test_handle_error_can_be_replaced(self):
        hub = get_hub()
        reported = []
        hub.handle_error = lambda *args: reported.append(args)
        try:
            g = spawn(fail)
            g.join()
        finally:
            del hub.handle_error
        ((context, kind, error, traceback),) = reported
        assert context is g and kind is ValueError and error is g.exception and traceback is not None

    def test_a_failing_handle_error_goes_to_unraisablehook(self, monkeypatch):
        unraisable = []
        monkeypatch.setattr("sys.unraisablehook", lambda args: unraisable.append((args.exc_value, args.object)))
        hub = get_hub()
        hub.handle_error = lambda *args: 1 / 0
        try:
            failed = spawn(fail)
            failed.join()
            until(lambda: unraisable)
        finally:
            del hub.handle_error
        ((error, context),) = unraisable
        assert isinstance(error, ZeroDivisionError) and error.__context__ is failed.exception and context is failed

    def test_a_handle_error_may_end_the_program(self):
        hub = get_hub()
        hub.handle_error = lambda *args: sys.exit(3)
        try:
            with pytest.raises(SystemExit):
                spawn(fail)
                sleep(5)
        finally:
            del hub.handle_error

    def test_raw_greenlets_are_reported_too(self, errors):
        spawn_raw(fail)
        until(errors.getvalue)
        assert "ValueError: failed" in errors.getvalue()

    def test_bare_greenlets_are_reported_too(self, errors):
        bare = greenlet_module.greenlet(fail, parent=get_hub())
        get_hub().run_callback(bare.switch)
        until(errors.getvalue)
        assert "ValueError: failed" in errors.getvalue()


def test_a_raw_greenlet_runs_its_function_once():
    done = []
    g = spawn_raw(lambda *args, **kwargs: done.append((args, kwargs)), 1, two=2)
    assert g.loop is get_hub().loop
    sleep(0)
    assert done == [((1,), {"two": 2})] and g.dead


def test_sleep_zero_takes_turns():
    order = []

    def work(name):
        for _ in range(3):
            order.append(name)
            sleep(0)

    joinall([spawn(work, "a"), spawn(work, "b")])
    assert "".join(order) == "ababab"


@pytest.mark.parametrize("bad", ["1", None, float("nan")])
def test_sleep_refuses_what_is_no_number_of_seconds(bad):
    with pytest.raises((TypeError, ValueError)):
        sleep(bad)


def test_sleep_is_never_early():
    import time

    for _ in range(30):
        begun = time.monotonic()
        sleep(0.0013)
        assert time.monotonic() - begun >= 0.0013


def test_a_negative_sleep_is_a_turn():
    order = []
    spawn(order.append, 1).rawlink(lambda g: None)
    sleep(-5)
    assert order == [1]


def test_idle_lets_ready_greenlets_run():
    order = []
    spawn(order.append, 1)
    idle()
    assert order == [1]


def test_greenlets_that_are_always_ready_do_not_starve_timers_and_sockets():
    from greenio.socket import socketpair

    ours, theirs = socketpair()
    stop = []

    def chatter():
        while not stop:
            sleep(0)

    pair = [spawn(chatter), spawn(chatter)]
    reader = spawn(ours.recv, 1)
    timer = spawn(sleep, 0.002)
    theirs.send(b"x")
    with Timeout(10):
        assert reader.get() == b"x"
        timer.join()
    stop.append(1)
    joinall(pair)
    ours.close()
    theirs.close()


def test_an_ident_may_be_given_back_to_a_registry_that_was_collected():
    assert Greenlet().minimal_ident >= 0
    registry = type(get_hub().ident_registry)()
    number = registry.take()
    registry.__dict__.clear()  # as the collector does at the end of a hub
    registry.give(number)
