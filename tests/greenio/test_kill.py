"""kill(), killall() and throw(): greenlets that have not begun, that wait, that refuse to end."""

import contextlib
import contextvars
import weakref

import pytest
from waiting import let_others_run, until

from greenio import (
    Greenlet,
    GreenletExit,
    Timeout,
    get_hub,
    getcurrent,
    kill,
    killall,
    sleep,
    spawn,
    spawn_later,
    spawn_raw,
)
from greenio.event import Event


def fail(error=ValueError):
    raise error("failed")


class TestKill:
    def test_a_greenlet_killed_before_its_start_never_runs(self):
        ran = []
        g = Greenlet(ran.append, 1)
        g.kill()
        assert g.dead and g.ready() and g.successful() and isinstance(g.value, GreenletExit)
        g.start()
        sleep(0)
        assert ran == []

    @pytest.mark.parametrize("later", [False, True])
    def test_a_greenlet_killed_before_it_began_never_runs(self, later):
        ran, linked = [], []
        g = spawn_later(0.001, ran.append, 1) if later else spawn(ran.append, 1)
        g.rawlink(linked.append)
        g.kill()
        sleep(0.003)
        assert ran == [] and linked == [g] and isinstance(g.value, GreenletExit)

    def test_a_waiting_greenlet_is_unwound(self):
        cleaned = []

        def work():
            try:
                sleep(10)
            finally:
                cleaned.append(1)

        g = spawn(work)
        sleep(0)
        g.kill()
        assert cleaned == [1] and g.dead and g.successful() and isinstance(g.value, GreenletExit)
        g.kill()

    def test_two_kills_at_once_both_arrive(self):
        raised = []

        def work():
            for _ in range(2):
                try:
                    sleep(10)
                except ValueError as error:
                    raised.append(str(error))

        g = spawn(work)
        sleep(0)
        g.kill(ValueError("first"), block=False)
        g.kill(ValueError("second"), block=False)
        g.join(5)
        assert raised == ["first", "second"]

    @pytest.mark.parametrize("what", [KeyError, KeyError("k"), (KeyError, "k"), (KeyError, KeyError("k"), None)])
    def test_the_exception_that_is_given_is_raised(self, what, quiet):
        g = spawn(sleep, 10)
        sleep(0)
        assert g.kill(what) is None
        assert isinstance(g.exception, KeyError) and not g.successful()

    def test_what_is_no_exception_is_refused(self):
        g = spawn(sleep, 0)
        with pytest.raises(TypeError, match="BaseException"):
            g.kill("a string")
        g.join()

    def test_a_greenlet_that_catches_it_goes_on(self):
        go_on = Event()

        def stubborn():
            try:
                sleep(10)
            except GreenletExit:
                go_on.wait()
            return "went on"

        g = spawn(stubborn)
        sleep(0)
        assert g.kill(timeout=0.001) is None and not g.ready()
        g.kill(block=False)
        g.join()
        assert isinstance(g.value, GreenletExit)
        go_on.set()
        g = spawn(stubborn)
        sleep(0)
        g.kill()
        assert g.value == "went on"

    def test_a_greenlet_that_kills_itself_ends_at_once(self):
        passed = []

        def work():
            getcurrent().kill()
            passed.append(1)

        assert isinstance(spawn(work).get(timeout=5), GreenletExit) and not passed

    def test_a_greenlet_that_kills_itself_ends_at_its_next_wait(self):
        def work():
            getcurrent().kill(block=False)
            sleep(10)

        assert isinstance(spawn(work).get(timeout=5), GreenletExit)

    def test_a_ready_greenlet_gets_it_at_its_next_wait(self):
        passed = []

        def work():
            sleep(0)
            passed.append(1)
            sleep(10)
            passed.append(2)

        g = spawn(work)
        sleep(0)  # now the greenlet is in its sleep(0), and ready
        kill(g)
        g.join(5)
        assert g.dead and passed in ([], [1])

    def test_the_main_greenlet_can_be_killed(self):
        main = get_hub().main
        spawn(kill, main, LookupError("main"))
        with pytest.raises(LookupError, match="main"):
            sleep(5)

    def test_raw_greenlets_are_killed_by_the_function_kill(self, quiet):
        cleaned = []

        def work():
            try:
                sleep(10)
            finally:
                cleaned.append(1)

        g = spawn_raw(work)
        sleep(0)
        kill(g)
        until(lambda: g.dead)
        assert g.dead and cleaned == [1]
        kill(g)
        unstarted = spawn_raw(cleaned.append, 2)
        kill(unstarted)
        let_others_run()
        assert unstarted.dead and cleaned == [1]

    def test_a_greenlet_that_has_switched_to_the_hub_can_be_killed(self):
        hub = get_hub()
        raised = []

        def work():
            try:
                hub.switch()
            except KeyError as error:
                raised.append(error)

        g = spawn(work)
        sleep(0)
        g.kill(KeyError("k"))
        assert g.dead and len(raised) == 1

    def test_throw_ends_it_before_and_after_its_start(self):
        g = Greenlet(sleep, 10)
        g.throw(GreenletExit("early"))
        assert g.dead and g.value.args == ("early",)
        g = spawn(sleep, 10)
        sleep(0)
        get_hub().run_callback(g.throw, GreenletExit("late"))
        g.join(5)
        assert g.value.args == ("late",)

    def test_killall_ends_raw_and_unbegun_greenlets_too(self):
        greenlets = [spawn(sleep, 10) for _ in range(10)]
        sleep(0)
        greenlets.append(spawn(sleep, 10))
        raw = spawn_raw(sleep, 10)
        sleep(0)
        killall([*greenlets, raw], timeout=5)
        assert all(g.dead for g in greenlets) and raw.dead
        killall([])

    def test_killall_times_out(self):
        def stubborn():
            for _ in range(2):
                with contextlib.suppress(GreenletExit):
                    sleep(10)

        g = spawn(stubborn)
        sleep(0)
        with pytest.raises(Timeout):
            killall([g], timeout=0.001)
        killall([g], block=False)
        g.join(5)
        assert g.dead

    def test_a_kill_in_the_turn_in_which_its_sleep_ends(self):
        for _ in range(50):
            g = spawn(sleep, 0.001)
            sleep(0.001)
            g.kill(timeout=5)
            assert g.dead


class Local:
    """An object that can have weak references."""


@pytest.mark.parametrize("make", [spawn, spawn_raw], ids=["spawn", "spawn_raw"])
def test_a_killed_greenlet_keeps_no_locals(make):
    kept = []

    def work():
        local = Local()
        kept.append(weakref.ref(local))
        try:
            raise ValueError(local)
        except ValueError:
            sleep(60)

    greenlet = make(work)
    sleep(0)
    kill(greenlet)
    while not greenlet.dead:
        sleep(0)
    assert kept[0]() is None


def test_a_generator_of_a_killed_greenlet_ends_in_its_context():
    variable, ends = contextvars.ContextVar("variable"), []

    def generate():
        token = variable.set(1)
        try:
            yield
        finally:
            variable.reset(token)  # raises ValueError in another context
            ends.append(True)

    def work():
        for _ in generate():
            sleep(60)

    greenlet = spawn(work)
    sleep(0)
    greenlet.kill()
    assert ends == [True] and isinstance(greenlet.value, GreenletExit) and greenlet.value.__traceback__ is None
