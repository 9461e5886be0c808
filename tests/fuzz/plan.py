"""A program as data, made from a seed: the objects that are used, the threads, and what each greenlet does.

The plan decides everything that a program decides for itself, so the same seed is the same program on every version.
What the threads do to each other differs from run to run.
"""

import random
from dataclasses import dataclass, field


def verb(weight=1, plain=True, **choices):
    """Mark a method of a part as something that an actor may do.

    `plain`: a thread without a hub may do it too. `choices`: for each argument, the values to pick from; "+" stands
    for a number of its own between 0 and 1.
    """

    def mark(method):
        method.verb = (weight, plain, choices)
        return method

    return mark


def in_words(arguments):
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


@dataclass
class Step:
    part: str
    verb: str
    arguments: dict

    def __str__(self):
        return f"{self.part}.{self.verb}({in_words(self.arguments)})"


@dataclass
class Worker:
    """A thread: "main", "hub" (with greenlets), or "plain". It ends after the part `ends` of the program's time."""

    kind: str
    scripts: list
    ends: float = 1.0


@dataclass
class Plan:
    seed: int
    settings: dict
    parts: dict = field(default_factory=dict)  # name -> (class, arguments)
    workers: list = field(default_factory=list)

    def __str__(self):
        lines = [f"seed {self.seed}: {self.settings}"]
        for name, (kind, arguments) in self.parts.items():
            lines.append(
                f"{name} = {kind.__name__}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
            )
        for number, worker in enumerate(self.workers):
            ends = f", ends at {worker.ends:.2f}" if worker.ends < 1 else ""
            lines.append(f"thread {number} ({worker.kind}{ends}):")
            lines += ["    " + "; ".join(map(str, script)) for script in worker.scripts]
        return "\n".join(lines)


#: The threads of a program: "main" and "hub" run greenlets, "plain" has no hub.
SHAPES = (
    "main",
    "main hub",
    "main hub",
    "main hub hub",
    "main hub hub hub",
    "main hub plain",
    "main hub plain",
    "main plain plain",
    "main hub hub plain plain",
    "main hub hub plain plain",
)


def make_plan(seed, kinds):
    """Return the plan of a seed, made of parts of these kinds (classes)."""
    numbers = random.Random(seed)
    plan = Plan(seed, {
        "sys_interval": numbers.choice([1e-6, 1e-5, 1e-4, 5e-3, 5e-3]),
        "hub_interval": numbers.choice([0.0001, 0.005, 0.005]),
        "gc_threshold": numbers.choice([7, 50, 700, 700]),
        "kill_at_end": numbers.random() < 0.3,
    })  # fmt: skip
    chosen = [kind for kind in kinds if kind.always]
    others = [kind for kind in kinds if not kind.always]
    chosen += numbers.choices(others, [kind.weight for kind in others], k=numbers.randint(1, 5)) if others else []
    for kind in chosen:
        name = f"{kind.__name__.lower()}{len(plan.parts)}"
        plan.parts[name] = kind, {key: numbers.choice(values) for key, values in kind.arguments.items()}
    greenlets = numbers.choice([3, 6, 12, 20])
    for kind in numbers.choice(SHAPES).split():
        ends = numbers.uniform(0.05, 0.9) if kind != "main" and numbers.random() < 0.25 else 1.0
        count = 1 if kind == "plain" else numbers.randint(1, greenlets)
        scripts = [make_script(numbers, plan, kind == "plain") for _ in range(count)]
        plan.workers.append(Worker(kind, [script for script in scripts if script], ends))
    return plan


def make_script(numbers, plan, plain):
    script = []
    verbs = []
    for name, (kind, _) in plan.parts.items():
        for found in dir(kind):
            mark = getattr(getattr(kind, found), "verb", None)
            if mark is not None and (mark[1] or not plain):
                verbs.append((name, found, mark[0] * kind.share, mark[2]))
    if not verbs:
        return script
    for name, found, _, choices in numbers.choices(
        verbs, [weight for _, _, weight, _ in verbs], k=numbers.randint(1, 6)
    ):
        arguments = {}
        for key, values in choices.items():
            value = numbers.choice(values)
            arguments[key] = round(numbers.random(), 3) if value == "+" else value
        script.append(Step(name, found, arguments))
    return script
