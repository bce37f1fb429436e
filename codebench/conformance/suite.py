"""Runs every case, each followed by a harmless program in the same slot, and says what was seen."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from codebench.conformance import (
    compiling,
    escape,
    harness,
    leaks,
    output,
    processes,
    resources,
    surroundings,
)
from codebench.conformance.case import (
    Bench,
    Case,
    Group,
    NotTestableHereError,
    first,
    said,
    unless,
)
from codebench.conformance.watched import WatchedBackend
from codebench.errors import CodebenchError, EnvironmentProblem, UsageError
from codebench.sandbox.backend import Backend, Isolation
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.choose import SandboxKind
from codebench.sandbox.execution import SandboxInfo
from codebench.sandbox.pool import SlotPool
from codebench.sandbox.selftest import prove
from codebench.sandbox.slot import NamespacesRefusedError

_ROOMS = (resources, output, processes, escape, surroundings, leaks, compiling, harness)
CASES: tuple[Case, ...] = tuple(
    sorted((case for room in _ROOMS for case in room.CASES), key=lambda c: [*Group].index(c.group))
)
"""Every case that runs on a user's machine, in the order of the table."""

HOST_ENV = {"CODEBENCH_CANARY": "seen", "RUSTC_BOOTSTRAP": "1"}
"""Set on the machine while slots run; no program may see it."""

_HARMLESS = """
import os
open("own", "w").write("x" * 100000)
print(sorted(os.listdir(".")), os.listdir("/tmp"), os.listdir("/dev/shm"), sum(range(1000)))
"""
_ITS_ANSWER = "['own', 'program.py'] [] [] 499500\n"


class State(StrEnum):
    """What became of a case."""

    HOLDS = "holds"
    FAILS = "DOES NOT HOLD"
    NOT_HERE = "not testable here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one case."""

    case: Case
    state: State
    seen: str = ""
    """What was seen instead, or why it cannot be tested here."""

    def __str__(self) -> str:
        """Return state and what was seen, in a line."""
        return f"{self.state}: {self.seen}" if self.seen else str(self.state)


def try_case(case: Case, bench: Bench, *, n_early_ends: Callable[[], int]) -> Finding:
    """Try one case, then run a harmless program in the same slot.

    Args:
        case: what to try.
        bench: what to try it on.
        n_early_ends: how many slots have ended before their time so far.
    """
    before, reason = n_early_ends(), None
    try:
        seen = case.attempt(bench)
    except CodebenchError as error:
        seen = f"our side failed: {error}"
    except NotTestableHereError as error:
        seen, reason = None, str(error)
    try:
        after = said(bench.python(_HARMLESS), _ITS_ANSWER)
    except CodebenchError as error:
        after = str(error)
    seen = first(
        seen,
        after and f"the next program was harmed: {after}",
        unless(n_early_ends() == before, "the slot died and was replaced"),
    )
    if seen is not None:
        return Finding(case=case, state=State.FAILS, seen=" ".join(seen.split()))
    if reason is not None:
        return Finding(case=case, state=State.NOT_HERE, seen=reason)
    return Finding(case=case, state=State.HOLDS)


def run_suite(
    kind: SandboxKind, *, notify: Callable[[str], None]
) -> list[tuple[SandboxInfo, list[Finding]]]:
    """Try every case on every level of isolation of `kind`; `notify` gets a line for each.

    A sandbox that this machine does not have, or a level that it refuses, is told and left out.

    Raises:
        UsageError: if it is asked to attack this machine without a sandbox.
        EnvironmentProblem: if there is nothing to try them on.
        SandboxError: if a sandbox does not pass even its self-test.
    """
    results, reasons = [], []
    for make in _levels(kind):
        try:
            results.append(try_all(make, notify=notify))
        except (EnvironmentProblem, NamespacesRefusedError) as error:
            notify(f"left out: {error}")
            reasons.append(str(error))
    if not results:
        raise EnvironmentProblem("; ".join(dict.fromkeys(reasons)))
    return results


def _levels(kind: SandboxKind) -> list[Callable[[], Backend]]:
    def docker(isolation: Isolation) -> Backend:
        from codebench.sandbox.docker import DockerBackend

        return DockerBackend(isolation)

    if kind is SandboxKind.NONE:
        raise UsageError("the suite attacks the machine that it runs on: not with --sandbox none")
    by_docker: list[Callable[[], Backend]] = [
        partial(docker, Isolation.NAMESPACES),
        partial(docker, Isolation.UID),
    ]
    levels: dict[SandboxKind, list[Callable[[], Backend]]] = {
        SandboxKind.AUTO: [*by_docker, BubblewrapBackend],
        SandboxKind.DOCKER: by_docker,
        SandboxKind.BUBBLEWRAP: [BubblewrapBackend],
    }
    return levels[kind]


def try_all(
    make: Callable[[], Backend], *, notify: Callable[[str], None]
) -> tuple[SandboxInfo, list[Finding]]:
    """Try every case on one slot of a backend.

    Raises:
        EnvironmentProblem, SandboxError: if there is no such sandbox, or it does not hold at all.
    """
    with _set_on_the_machine(HOST_ENV):
        backend = WatchedBackend(make())
        pool = SlotPool(backend, n_slots=1)
        try:
            prove(pool)
            bench, findings = Bench(pool), []
            for number, case in enumerate(CASES, 1):
                finding = try_case(case, bench, n_early_ends=lambda: backend.n_early_ends)
                findings.append(finding)
                where = f"{backend.kind}, {backend.isolation}"
                notify(f"{where}: {number}/{len(CASES)} {case.name}: {finding}")
            return pool.info(), findings
        finally:
            pool.close()


@contextlib.contextmanager
def _set_on_the_machine(env: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
