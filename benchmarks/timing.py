"""What the benchmarks of grading and of the sandbox share: taking turns, and what to say of times.

The machine may be shared and noisy. So the contenders of a comparison take turns within one run, in
alternating order; a ratio is that of one round, in which both met the same noise, and the median of
those over all rounds.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from codebench.machine import describe_environment
from codebench.sandbox.execution import SandboxInfo
from codebench.sandbox.turns import MOST_PUT_OFF

N_WORKERS = 2
"""Slots, and threads or workers of whom they are compared with."""

N_CALLERS = N_WORKERS + MOST_PUT_OFF
"""Threads that hand our slots their work, as many as a run has."""

Seconds = Mapping[str, Sequence[float]]
"""By contender, what it took in each round."""

T = TypeVar("T")
R = TypeVar("R")


def in_threads(
    work: Callable[[T], R], things: Iterable[T], *, n_threads: int = N_WORKERS
) -> list[R]:
    """Return what `work` makes of each thing, so many at a time, in order."""
    with ThreadPoolExecutor(n_threads) as executor:
        return list(executor.map(work, things))


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long `work` takes, wall seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def take_turns(contenders: Mapping[str, Callable[[], float]], *, n_rounds: int) -> Seconds:
    """Let the contenders take turns; each returns the seconds that it took."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(n_rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            seconds[name].append(contenders[name]())
            print(f"{name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    return seconds


def rates(seconds: Seconds, n_things: Mapping[str, int], *, of: str) -> dict[str, Any]:
    """Return by contender the median rate, as `OF_per_s`, and the seconds of each round."""
    return {
        name: {
            f"{of}_per_s": round(n_things[name] / statistics.median(times), 2),
            "seconds": [round(s, 3) for s in times],
        }
        for name, times in seconds.items()
    }


def ratio(seconds: Seconds, n_things: Mapping[str, int], ours: str, other: str) -> float:
    """Return how many times the rate of `other` ours is, the median over the rounds."""
    pairs = zip(seconds[ours], seconds[other], strict=True)
    by_round = statistics.median(theirs_s / ours_s for ours_s, theirs_s in pairs)
    return round(by_round * n_things[ours] / n_things[other], 2)


def milliseconds(values_s: Sequence[float]) -> dict[str, float]:
    """Return median, 95th percentile and maximum of some seconds, in milliseconds."""
    twentieths = statistics.quantiles(values_s, n=20, method="inclusive")
    found = {"p50": twentieths[9], "p95": twentieths[18], "max": max(values_s)}
    return {name: round(1000 * value, 2) for name, value in found.items()}


def surroundings(info: SandboxInfo, load_before: float) -> dict[str, Any]:
    """Describe what was measured, on which machine, and how busy that was."""
    environment = describe_environment(info, {})
    return {
        "git": environment.git,
        "sandbox": info.model_dump(),
        "host": environment.host,
        "load_average": {"before": load_before, "after": os.getloadavg()[0]},
    }
