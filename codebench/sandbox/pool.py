"""N slots as one sandbox: hands them out, replaces failed ones, tries time-limited steps again."""

import contextlib
import os
import queue
import time
from collections.abc import Collection, Iterator

from codebench.errors import SandboxError
from codebench.sandbox.backend import Backend, Isolation
from codebench.sandbox.execution import SandboxInfo, Step, StepResult, StoppedBy
from codebench.sandbox.slot import NamespacesRefusedError, Slot
from codebench.sandbox.turns import Turns

_PAUSES_S = (0.0, 2.0)
"""Before the second and the third try: a slot may have died, and Docker may be starting again."""

STEPS_PER_SLOT = {Isolation.NAMESPACES: 500, Isolation.UID: 50, Isolation.NONE: 500}
"""By isolation: the less it promises from step to step, the sooner there is a new slot."""
_TIME = {StoppedBy.CPU_TIME, StoppedBy.WALL_TIME}


class SlotPool:
    """A `Sandbox` made of the slots of one backend. Safe for any number of threads.

    `MOST_PUT_OFF` threads more than slots keep all slots at work while second tries wait.
    """

    def __init__(self, backend: Backend, *, n_slots: int) -> None:
        self._backend, self._n_slots = backend, n_slots
        self._free: queue.SimpleQueue[_Place] = queue.SimpleQueue()
        for cores in share_cores(sorted(os.sched_getaffinity(0)), n_slots):
            self._free.put(_Place(backend, cores))
        self._turns = Turns(n_slots)
        self._closed = False
        self.facts: dict[str, str | None] = {"rustc": None, "python": None}
        """Versions inside, filled in by the self-test."""

    def run(self, step: Step) -> StepResult:
        """Run one step; one that hits a time limit is run again later, with nothing beside it.

        Raises:
            SandboxError: if the instrument failed three times in a row.
        """
        with self._turns.first(), self._place() as place:
            result = place.run(step)
        if result.execution.stopped_by not in _TIME:
            return result
        with self._turns.second(), self._place() as place:
            again = place.run(step)
        execution = again.execution.model_copy(update={"retried_alone": True})
        return again._replace(execution=execution)

    @contextlib.contextmanager
    def _place(self) -> Iterator["_Place"]:
        place = self._free.get()
        try:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            yield place
        finally:
            if self._closed:
                place.close()
            self._free.put(place)

    def info(self) -> SandboxInfo:
        """See `Sandbox`."""
        return SandboxInfo(
            kind=self._backend.kind,
            isolation=self._backend.isolation,
            n_slots=self._n_slots,
            image=self._backend.image,
            rustc=self.facts["rustc"],
            python=self.facts["python"],
        )

    @property
    def shortfall(self) -> str | None:
        """See `Backend`."""
        return self._backend.shortfall

    def close(self) -> None:
        """Stop every free slot now; one that is in use stops when its step ends."""
        self._closed = True
        self._turns.close()
        free = []
        with contextlib.suppress(queue.Empty):
            while True:
                free.append(self._free.get_nowait())
                free[-1].close()
        for place in free:
            self._free.put(place)  # whoever has just got its turn sees that it is over
        self._backend.close()


def share_cores(cores: Collection[int], n_slots: int) -> list[list[int]]:
    """Return the cores of each slot: none has two slots while another has none.

    A slot that keeps to its cores does not slow its neighbours down, whatever runs in it; and its
    processes, which wait for each other, need not be woken on another core (graded Python samples
    take a fifth less time on two cores).
    """
    cores = list(cores)
    return [cores[i % len(cores) :: n_slots] for i in range(n_slots)]


class _Place:
    """Where one slot stands; a failed slot is replaced here."""

    def __init__(self, backend: Backend, cores: Collection[int]) -> None:
        self._backend, self._cores = backend, cores
        self._slot: Slot | None = None
        """Started when it is needed; none after a failure."""

        self._most_steps = STEPS_PER_SLOT[backend.isolation]

    def run(self, step: Step) -> StepResult:
        for pause_s in (*_PAUSES_S, None):
            try:
                return self._try(step)
            except NamespacesRefusedError:
                self.close()
                raise
            except SandboxError:
                self.close()
                if pause_s is None:
                    raise
                time.sleep(pause_s)
        raise AssertionError("unreachable")

    def _try(self, step: Step) -> StepResult:
        if self._slot is None:
            self._slot = Slot(self._backend.start(self._cores), env=self._backend.env)
        result = self._slot.run(step)
        if self._slot.tainted or self._slot.n_steps >= self._most_steps:
            self.close()
        return result

    def close(self) -> None:
        """Stop the slot, if there is one."""
        if self._slot is not None:
            self._slot.close()
            self._slot = None
