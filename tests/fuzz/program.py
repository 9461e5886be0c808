"""Run the program of one seed, in this process: ``program.py SEED [SECONDS] [--print] [--without KIND,...]``.

Prints a line "FAULT kind: text" for each fault that it detects itself, and ends with status 1 then.
"""

import argparse
import faulthandler
import gc
import importlib
import os
import sys
import threading
import time
import warnings

import greenlets
import locks
import pools
import queues
import sockets
import surroundings
import world
from plan import make_plan

from greenio import Greenlet, get_hub, joinall, sleep

MODULES = [locks, queues, greenlets, pools, sockets, surroundings]
KINDS = [kind for module in MODULES for kind in module.KINDS]

#: The share of the time that a program may use the processor.
SHARE_OF_CPU = 0.15


class Bound:
    """A step of the plan, bound to the object whose method it calls."""

    def __init__(self, step, parts):
        self.name = f"{step.part.rstrip('0123456789')}.{step.verb}"
        self.text = str(step)
        self.method = getattr(parts[step.part], step.verb)
        self.arguments = step.arguments

    def __call__(self):
        self.method(**self.arguments)

    def __repr__(self):
        return self.text


class Rest:
    """The last step of each round: an actor sleeps until the next beat."""

    name = "rest"

    def __call__(self):
        world.rest(world.until_tick())


class Program:
    def __init__(self, plan, duration):
        self.plan = plan
        self.duration = duration
        self.before = what_there_is()
        self.parts = {name: kind(**arguments) for name, (kind, arguments) in plan.parts.items()}
        for name, part in self.parts.items():
            part.name = name
        self.begun = time.monotonic()
        self.ended = []  # not empty when no thread can be waiting for a part's stop() any more

    def steps(self, script):
        return [Bound(step, self.parts) for step in script] + [Rest()]

    def left(self, worker):
        return self.begun + worker.ends * self.duration - time.monotonic()

    # --- the threads ---

    def thread(self, worker):
        try:
            if worker.kind == "plain":
                world.act(self.steps(worker.scripts[0]) if worker.scripts else [Rest()])
            else:
                self.act_in_greenlets(worker)
        except BaseException as error:
            world.fault(f"{type(error).__name__} in a thread", world.describe(error))

    def act_in_greenlets(self, worker):
        hub = get_hub()
        report, hub.handle_error = (
            hub.handle_error,
            lambda context, kind, value, tb: None if issubclass(kind, world.Boom) else report(context, kind, value, tb),
        )
        scripts = [self.steps(script) for script in worker.scripts]
        acting = {}
        while world.running and (left := self.left(worker)) > 0:
            for number, script in enumerate(scripts):
                if number not in acting or acting[number].dead:
                    if number in acting:
                        world.actors.remove(acting[number])
                    acting[number] = Greenlet.spawn(world.act, script)
                    world.actors.append(acting[number])
            if worker.kind == "main":
                self.pace()
            self.supervise(min(left, world.tick))
        if worker.ends < 1 and world.running:
            for actor in acting.values():
                world.actors.remove(actor)
            return  # the greenlets stay behind
        if worker.kind == "main":
            world.running = False
            self.end()
        if self.plan.settings["kill_at_end"]:
            for actor in acting.values():
                actor.kill(world.Killed, block=False)
        joinall(list(acting.values()), timeout=world.LIMIT)
        if left := [actor for actor in acting.values() if not actor.dead]:
            self.give_up("a greenlet does not end", repr(left))

    def supervise(self, duration):
        sleep(duration)

    def pace(self):
        """Beat slower when the program has computed for more than its share of the time."""
        passed = time.monotonic() - self.begun
        if time.process_time() - self.computed > SHARE_OF_CPU * passed + 0.01:
            world.tick = min(world.tick * 1.5, 0.1)
        else:
            world.tick = max(world.tick / 1.5, 0.004)

    # --- the end ---

    def end(self):
        def let_go():
            while not self.ended:
                for part in self.parts.values():
                    try:
                        part.stop()
                    except BaseException as error:
                        world.fault(f"{type(error).__name__} in {type(part).__name__}.stop", world.describe(error))
                time.sleep(0.01)

        self.letting_go = threading.Thread(target=let_go)
        self.letting_go.start()

    def give_up(self, kind, text):
        world.fault(kind, f"{text}\n{world.everything()}")
        faulthandler.dump_traceback()
        os._exit(1)

    def run(self):
        settings = self.plan.settings
        hub = get_hub()
        hub.setswitchinterval(settings["hub_interval"])
        sys.setswitchinterval(settings["sys_interval"])
        gc.set_threshold(settings["gc_threshold"])
        self.computed = time.process_time()
        threads = [threading.Thread(target=self.thread, args=(worker,)) for worker in self.plan.workers[1:]]
        for thread in threads:
            thread.start()
        self.thread(self.plan.workers[0])
        # The other greenlets of this thread go on meanwhile: other threads may wait for them.
        deadline = time.monotonic() + world.LIMIT
        while threads:
            if not world.has_ended(threads[-1], 0):
                if time.monotonic() > deadline:
                    self.give_up("a thread does not end", repr(threads[-1]))
                sleep(0.003)
            else:
                threads.pop()
        self.ended.append(1)
        world.has_ended(self.letting_go)
        for part in self.parts.values():
            part.close()
        found = settle(self.before)
        for part in self.parts.values():
            for kind, text in part.check():
                world.fault(kind, f"{part.name}: {text}")
        for key, value in found.items():
            world.fault(f"left over ({key})", str(value))


def settle(before):
    """Return what the program leaves over, when the loop and the collector have had time to clear up."""
    world.actors.clear()
    get_hub().threadpool.kill()
    for _ in range(40):
        gc.collect()
        get_hub().join(timeout=0.05)
        found = {key: value for key, value in what_there_is().items() if value != before[key]}
        if not found:
            break
    if "greenlets" in found:
        found["greenlets"] = "".join(map(world.stack_of, found["greenlets"]))
    if "descriptors" in found:
        was, now = before["descriptors"], found["descriptors"]
        found["descriptors"] = [each for each in (*now.items(), *was.items()) if each not in was.items() & now.items()]
    return found


def what_there_is():
    hub = get_hub()
    hub.join(timeout=0)  # at its first use the hub opens descriptors, which are not left over
    descriptors = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            descriptors[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the descriptor of the listing itself
    statistics = hub.statistics()
    return {
        # libuv opens an inotify descriptor for a loop's first file system event, and keeps it as long as the loop.
        "descriptors": {fd: name for fd, name in descriptors.items() if name != "anon_inode:inotify"},
        # threading.current_thread() in a native thread leaves a dummy thread behind; so does the standard library.
        "threads": [each for each in threading.enumerate() if not isinstance(each, threading._DummyThread)],
        "greenlets": world.alive(),
        **{key: statistics[key] for key in ("parked", "ready", "references", "handles")},
    }


def import_all():
    """Import the modules that are otherwise imported at first use.

    The greenlets of a thread share the import lock: a finalizer that lets others run in the middle of an import would
    show them half a module.
    """
    importlib.import_module("greenio.resolver.thread")
    "name".encode("idna")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds", type=float, nargs="?", default=1.0)
    parser.add_argument("--print", action="store_true", help="print the program, and do not run it")
    parser.add_argument("--only", default="", help="kinds of parts, separated by commas: all others are left out")
    parser.add_argument("--without", default="", help="kinds of parts to leave out")
    parser.add_argument("--misuse", action="store_true", help="call greenlet's own methods, too")
    parser.add_argument("--no-early-ends", action="store_true", help="no thread ends while its greenlets act")
    options = parser.parse_args()
    only, without = (set(text.split(",")) - {""} for text in (options.only, options.without))
    kinds = [kind for kind in KINDS if (not only or kind.__name__ in only) and kind.__name__ not in without]
    if options.misuse:
        kinds.append(surroundings.Switching)
    plan = make_plan(options.seed, kinds)
    if options.no_early_ends:
        for worker in plan.workers:
            worker.ends = 1.0
    if options.print:
        print(plan)
        return
    faulthandler.enable()
    faulthandler.dump_traceback_later(options.seconds + 3 * world.LIMIT, exit=True)
    # The programs fork beside threads on purpose.
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
    warnings.simplefilter("ignore", ResourceWarning)  # sockets are left to the collector; debug builds would warn
    import_all()
    Program(plan, options.seconds).run()
    faulthandler.cancel_dump_traceback_later()
    sys.exit(1 if world.failed() else 0)


if __name__ == "__main__":
    main()
