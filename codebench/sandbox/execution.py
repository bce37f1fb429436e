"""The facts about one step of one sample, and the limits it ran under."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from pydantic import BaseModel

MIB = 1024 * 1024


class Stage(StrEnum):
    """Which part of a sample's life a step is."""

    COMPILE = "compile"
    RUN = "run"


class StoppedBy(StrEnum):
    """The limit of ours that ended a step."""

    CPU_TIME = "cpu_time"
    WALL_TIME = "wall_time"
    MEMORY = "memory"
    OUTPUT = "output"
    PROCESSES = "processes"


class Limits(BaseModel, frozen=True, extra="forbid"):
    """What one step may use. CPU time decides; the wall clock is the guard behind it."""

    cpu_s: float
    wall_s: float
    memory_bytes: int
    n_processes: int
    disk_bytes: int
    """Size of the step's own file system."""

    n_files: int
    output_bytes: int
    """Bytes of stdout and of stderr that are kept."""

    output_kill_bytes: int
    """Bytes of stdout and stderr together at which the step is killed."""


COMPILE_LIMITS = Limits(
    cpu_s=10,
    wall_s=30,
    memory_bytes=1024 * MIB,
    n_processes=64,
    disk_bytes=64 * MIB,
    n_files=1024,
    output_bytes=1 * MIB,
    output_kill_bytes=4 * MIB,
)
RUN_LIMITS = Limits(
    cpu_s=5,
    wall_s=15,
    memory_bytes=512 * MIB,
    n_processes=32,
    disk_bytes=16 * MIB,
    n_files=256,
    output_bytes=1 * MIB,
    output_kill_bytes=4 * MIB,
)
MAX_SOURCE_BYTES = 1 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """The trusted other end of a step: it asks the program, and it alone says what came of it.

    It runs beside the program in an isolation of its own, forked from a warm interpreter; a socket
    joins the two.
    """

    module: str
    """Module of the folder `sandbox/` whose `main(files, channel, answers)` is run."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    """What it is given, by name; the program never sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command to run in a fresh, empty, isolated work directory."""

    stage: Stage
    argv: tuple[str, ...]
    """argv[0] is looked up in the sandbox: `rustc`, `python3`, or `./NAME` of the step's files.

    `warm:NAME` is the module NAME of the folder `sandbox/`, run by a process forked from a warm
    interpreter instead of a started one: its `main(files, channel)` gives the exit status.
    """

    limits: Limits
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Files that are there when the command starts, by plain name."""

    env: Mapping[str, str] = field(default_factory=dict)
    collect: tuple[str, ...] = ()
    """Plain names of files that come back when the command exits with status 0; a name whose file
    is not there, not a regular file, or too large is left out."""

    answers: bool = False
    """Descriptor 3 of the command is a pipe whose bytes come back as `StepResult.answers`; with a
    checker it is the checker's instead, and descriptor 3 is the socket to the checker."""

    checker: Checker | None = None
    """The trusted process that asks the program; only beside a `warm:` command."""


class Execution(BaseModel, frozen=True, extra="forbid"):
    """Facts about one step; no judgement."""

    stage: Stage
    exit_code: int | None
    """Process exit status; None when a signal or a limit ended the step."""

    signal: int | None
    """Number of the signal that ended the process, ours not counted."""

    stopped_by: StoppedBy | None
    """The limit of ours that ended the step, or None when it ended by itself."""

    cpu_s: float
    wall_s: float
    peak_memory_bytes: int
    n_stdout_bytes: int
    n_stderr_bytes: int
    """Bytes written, kept or not."""

    retried_alone: bool = False
    """The step hit a time limit once and was tried again with nothing beside it."""


class StepResult(NamedTuple):
    """An execution and the output that was kept (the head of each stream)."""

    execution: Execution
    stdout: bytes
    stderr: bytes
    answers: bytes = b""
    """What came through the answers pipe, up to `Limits.output_bytes`."""

    collected: Mapping[str, bytes] = MappingProxyType({})
    """The files that were asked for and are there, by name."""


class SandboxInfo(BaseModel, frozen=True, extra="forbid"):
    """What isolates the programs, for results.json."""

    kind: str
    """docker, bubblewrap or none."""

    isolation: str
    """namespaces, uid (weaker: `sandbox/README.md`) or none."""

    n_slots: int
    image: str | None
    """Image name and digest, or None without images."""

    rustc: str | None
    """Output of `rustc -vV` inside the sandbox."""

    python: str | None
    """Version of the interpreter inside the sandbox."""


class Sandbox(Protocol):
    """Slots that run steps. `run` may be called from as many threads as there are slots."""

    def run(self, step: Step) -> StepResult:
        """Run one step and return its facts.

        Raises:
            SandboxError: if the instrument failed; the step may be tried again.
        """
        ...

    def info(self) -> SandboxInfo:
        """Return what isolates the programs."""
        ...

    def close(self) -> None:
        """Stop every slot; nothing of them is left behind."""
        ...
