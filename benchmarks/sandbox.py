"""What does the sandbox cost? Overhead per step, rates and a hostile mix, within one run.

`overhead`: the wall time of a step as the harness sees it, less the program's own wall time inside
(`Execution.wall_s`), for a program that is started (`true`) and one that is forked from the warm
interpreter (the compiler of Python, one line): one step at a time, and with both slots at work.

`build`: small Rust programs, none equal, are compiled through two slots, by the same rustc command
without a sandbox, two at a time, and by one `docker run` for each program, two at a time. The last
takes a part of the programs only, and is left out, with the reason, where there is no docker.

`hostile`: such programs alone, and with hostile ones among them, every fifth (fork bomb, memory
bomb, endless output, busy loop; small limits). `slowdown_percent` is what the mix takes longer,
beyond the time that slots were at work on hostile programs (a second try, which runs alone, has all
slots); new slots, and the wait until all slots are free for second tries, count as slowdown. For
`beyond_own_time_percent` only the hostile programs' own time is theirs: to end them and to clear up
after them counts as slowdown too. `benign_own_time_percent` is by how much the median benign
program itself takes longer beside hostile ones.

The contenders take turns; a ratio is the median of those of the rounds. Not in the time: the start
of the slots and their self-test. Memory over 10,000 samples: `memory.py`. Prints JSON.

    python -m benchmarks.sandbox --sandbox docker
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

from benchmarks.bare_steps import BareSteps
from benchmarks.timing import (
    N_CALLERS,
    N_WORKERS,
    in_threads,
    milliseconds,
    rates,
    ratio,
    seconds_of,
    surroundings,
    take_turns,
)
from codebench.languages.rules import RULES
from codebench.prompts import load_prompt_set
from codebench.prompts.model import Language
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.execution import (
    MIB,
    RUN_LIMITS,
    Execution,
    Sandbox,
    Stage,
    Step,
    StepResult,
)
from codebench.sandbox.slot import Slot

PARTS = ("overhead", "build", "hostile")
HOSTILE_SHARE = 5
"""One of so many programs is hostile."""

DOCKER_SHARE = 6
"""One of so many programs is built by a `docker run` too: they take long."""

TRIVIAL: Mapping[str, Step] = {
    "started": Step(stage=Stage.RUN, argv=("true",), limits=RUN_LIMITS),
    "warm": RULES[Language.PYTHON].compile_step(b"x = 1\n"),
}
BOMBS: tuple[tuple[str, Mapping[str, int]], ...] = (
    ("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", {"n_processes": 16}),
    ("x = []\nwhile True: x.append(bytearray(b'x') * (1 << 20))", {"memory_bytes": 64 * MIB}),
    ("while True: print('x' * 10_000)", {"output_kill_bytes": 1 * MIB}),
    ("while True: pass", {}),
)
SMALL = {"cpu_s": 0.3, "wall_s": 2.0}
_IN_DOCKER = ("docker", "run", "--rm", "-i", "--network=none", "--tmpfs=/w:mode=1777", "-w=/w")


def rust_programs(n: int) -> list[Step]:
    """Return steps that compile the references of rust-basics, each with another constant."""
    prompts = load_prompt_set("rust-basics").prompts
    programs = [
        f"{prompt.prefix}{prompt.reference}\npub const NUMBER: u64 = {number};\n"
        for number in range(n)
        for prompt in [prompts[number % len(prompts)]]
    ]
    return [RULES[Language.RUST].compile_step(program.encode()) for program in programs]


def bombs(n: int) -> list[Step]:
    """Return hostile Python programs with small limits, the kinds in turn."""
    return [
        Step(
            stage=Stage.RUN,
            argv=("python3", "-I", "-S", "-B", "-c", f"number = {number}\n{source}"),
            limits=RUN_LIMITS.model_copy(update={**SMALL, **limits}),
        )
        for number in range(n)
        for source, limits in [BOMBS[number % len(BOMBS)]]
    ]


def overhead(sandbox: Sandbox, n: int) -> dict[str, Any]:
    """Return what a slot adds to a program, by kind of step, in milliseconds."""

    def measure(step: Step) -> tuple[float, float]:
        started = time.perf_counter()
        own_s = sandbox.run(step).execution.wall_s
        whole_s = time.perf_counter() - started
        return whole_s, whole_s - own_s

    in_threads(measure, [*TRIVIAL.values()] * 4)
    found: dict[str, Any] = {"n_steps_each": n}
    for name, way in (("one_at_a_time", map), ("both_slots", in_threads)):
        taken = list(way(measure, [*TRIVIAL.values()] * n))
        found[name] = {
            kind: {
                "overhead_ms": milliseconds([added for _, added in taken[i :: len(TRIVIAL)]]),
                "whole_ms": milliseconds([whole for whole, _ in taken[i :: len(TRIVIAL)]]),
            }
            for i, kind in enumerate(TRIVIAL)
        }
    return found


def build(sandbox: Sandbox, n: int, n_rounds: int) -> dict[str, Any]:
    """Compare the rates at which small Rust programs are compiled."""
    programs, bare = rust_programs(n), BareSteps()
    few = programs[::DOCKER_SHARE] if n > DOCKER_SHARE else programs

    def timed(run: Callable[[Step], object], steps: Sequence[Step]) -> Callable[[], float]:
        def build_one(step: Step) -> None:
            if run(step) != 0:
                raise SystemExit("a program that compiles did not")

        in_threads(build_one, steps[:2])
        return lambda: seconds_of(lambda: in_threads(build_one, steps))

    contenders = {
        "slots": timed(lambda step: sandbox.run(step).execution.exit_code, programs),
        "unsandboxed": timed(bare.run, programs),
    }
    image, reason = docker_image()
    if image is not None:
        contenders["docker_run_each"] = timed(lambda step: docker_run(image, step), few)
    seconds = take_turns(contenders, n_rounds=n_rounds)
    n_things = {name: len(few if name == "docker_run_each" else programs) for name in contenders}
    return {
        "n_programs": n_things,
        "ratios_of_programs_per_s": {
            f"slots_to_{name}": ratio(seconds, n_things, "slots", name)
            for name in contenders
            if name != "slots"
        },
        "contenders": rates(seconds, n_things, of="programs"),
        **({} if image else {"docker_run_each_skipped": reason}),
    }


def docker_image() -> tuple[str | None, str]:
    """Return the image that has the sandbox's rustc, or None and why there is none."""
    from codebench.sandbox.docker import image_name

    docker = shutil.which("docker")
    if docker is None:
        return None, "no docker command on this machine"
    asked = subprocess.run(
        [docker, "image", "inspect", image_name()], capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        return None, f"{asked.stderr.strip()}: `codebench doctor --build-image` makes the image"
    return image_name(), ""


def docker_run(image: str, step: Step) -> int:
    """Run a step in a container of its own; its one file comes through stdin."""
    [(name, content)] = step.files.items()
    env = [word for key, text in step.env.items() for word in ("-e", f"{key}={text}")]
    script = f'cat >{name} && exec "$@"'
    return subprocess.run(
        [*_IN_DOCKER, *env, "--entrypoint=sh", image, "-c", script, "sh", *step.argv],
        input=content,
        capture_output=True,
        check=False,
    ).returncode


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """What one try of a step took, wall seconds."""

    step: Step
    execution: Execution
    slot_s: float
    """From the step's way into the slot to the answer."""


@contextlib.contextmanager
def noted_tries() -> Iterator[list[Try]]:
    """Note each try of each step that slots run meanwhile: a pool tells of the last try alone."""
    tries: list[Try] = []
    run = Slot.run

    def noting(slot: Slot, step: Step) -> StepResult:
        started = time.perf_counter()
        result = run(slot, step)
        slot_s = time.perf_counter() - started
        tries.append(Try(step=step, execution=result.execution, slot_s=slot_s))
        return result

    with mock.patch.object(Slot, "run", noting):
        yield tries


def hostile(sandbox: Sandbox, n: int, n_rounds: int) -> dict[str, Any]:
    """Compare benign programs alone and with hostile ones among them."""
    n_hostile = n // HOSTILE_SHARE
    benign, bad = rust_programs(n - n_hostile), bombs(n_hostile)
    mixed = list(benign)
    for number, bomb in enumerate(bad):
        mixed.insert(number * HOSTILE_SHARE + HOSTILE_SHARE // 2, bomb)
    tries: dict[str, list[list[Try]]] = {"benign": [], "mixed": []}

    def timed(name: str, steps: Sequence[Step]) -> Callable[[], float]:
        def run() -> None:
            with noted_tries() as noted:
                in_threads(sandbox.run, steps, n_threads=N_CALLERS)
            tries[name].append(noted)

        return lambda: seconds_of(run)

    in_threads(sandbox.run, benign[:2])
    seconds = take_turns(
        {"benign": timed("benign", benign), "mixed": timed("mixed", mixed)}, n_rounds=n_rounds
    )
    alone_s = statistics.median(seconds["benign"])
    used = [hostile_seconds(run, bad) for run in tries["mixed"]]
    beyond = {
        name: [
            100 * ((s - u[i]) / alone_s - 1) for s, u in zip(seconds["mixed"], used, strict=True)
        ]
        for i, name in enumerate(("slowdown_percent", "beyond_own_time_percent"))
    }
    return {
        "n_benign": len(benign),
        "n_hostile": len(bad),
        **{name: round(statistics.median(values), 1) for name, values in beyond.items()},
        "by_round": {name: [round(v, 1) for v in values] for name, values in beyond.items()},
        "benign_own_time_percent": round(
            100
            * (benign_own_s(tries["mixed"], benign) / benign_own_s(tries["benign"], benign) - 1),
            1,
        ),
        "seconds": {name: [round(s, 3) for s in times] for name, times in seconds.items()},
        "hostile_seconds": [round(whole_s, 3) for whole_s, _ in used],
        "hostile_ended_by": ends(tries["mixed"], bad),
    }


def hostile_seconds(run: Sequence[Try], bad: Sequence[Step]) -> tuple[float, float]:
    """Return how much of a round went to hostile programs: in the slots, and their own time.

    One slot's second is half a second of the round; the second try of a step has all slots.
    """
    whole_s = own_s = 0.0
    seen: set[int] = set()
    for each in run:
        if any(each.step is bomb for bomb in bad):
            share = 1.0 if id(each.step) in seen else 1 / N_WORKERS
            whole_s += share * each.slot_s
            own_s += share * each.execution.wall_s
            seen.add(id(each.step))
    return whole_s, own_s


def benign_own_s(rounds: Sequence[Sequence[Try]], benign: Sequence[Step]) -> float:
    """Return the median own wall time of the benign programs.

    Raises:
        SystemExit: if one of them did not compile.
    """
    own = [t.execution for run in rounds for t in run if any(t.step is step for step in benign)]
    if any(execution.exit_code != 0 for execution in own):
        raise SystemExit("a program that compiles did not")
    return statistics.median(execution.wall_s for execution in own)


def ends(rounds: Sequence[Sequence[Try]], bad: Sequence[Step]) -> dict[str, int]:
    """Return how often tries of hostile programs were ended by which limit; `none`: they died."""
    ended = [t.execution for run in rounds for t in run if any(t.step is bomb for bomb in bad)]
    if any(execution.exit_code == 0 for execution in ended):
        raise SystemExit("a hostile program came to its end")
    found = Counter(str(execution.stopped_by or "none") for execution in ended)
    return dict(sorted(found.items()))


def main() -> None:
    """Run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sandbox", type=SandboxKind, default=SandboxKind.AUTO)
    parser.add_argument("--n-steps", type=int, default=200, help="of each kind, for the overhead")
    parser.add_argument("--n-programs", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    load_before, started = os.getloadavg()[0], time.perf_counter()
    sandbox = open_sandbox(
        options.sandbox, n_slots=N_WORKERS, notify=lambda line: print(line, file=sys.stderr)
    )
    sandbox_s = time.perf_counter() - started
    parts: Mapping[str, Callable[[], dict[str, Any]]] = {
        "overhead": lambda: overhead(sandbox, options.n_steps),
        "build": lambda: build(sandbox, options.n_programs, options.rounds),
        "hostile": lambda: hostile(sandbox, options.n_programs, options.rounds),
    }
    try:
        found = {name: parts[name]() for name in options.parts}
    finally:
        sandbox.close()
    figures = {
        **found,
        "sandbox_start_s": round(sandbox_s, 2),
        **surroundings(sandbox.info(), load_before),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
