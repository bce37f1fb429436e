"""N slots as one sandbox: hands them out, replaces failed ones, tries time-limited steps again."""

import contextlib
import queue
from collections.abc import Iterator

from codebench.errors import SandboxError
from codebench.sandbox.backend import Backend, Isolation
from codebench.sandbox.execution import SandboxInfo, Step, StepResult, StoppedBy
from codebench.sandbox.slot import NamespacesRefusedError, Slot
from codebench.sandbox.turns import Turns

_TRIES = 3
STEPS_PER_SLOT = {Isolation.NAMESPACES: 500, Isolation.UID: 50, Isolation.NONE: 500}
"""By isolation: the less it promises from step to step, the sooner there is a new slot."""
_TIME = {StoppedBy.CPU_TIME, StoppedBy.WALL_TIME}


class SlotPool:
    """A `Sandbox` made of the slots of one backend. Safe for any number of threads.

    `MOST_PUT_OFF` threads more than slots keep all slots at work while second tries wait.
    """

    def __init__(self, backend: Backend, *, n_slots: int) -> None:
        self._backend, self._n_slots = backend, n_slots
        self._free: queue.SimpleQueue[Slot | None] = queue.SimpleQueue()
        """None is a place whose slot is not started, or was closed after a failure."""
        for _ in range(n_slots):
            self._free.put(None)
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
        place = _Place(self._backend, self._free.get())
        try:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            yield place
        finally:
            if self._closed and place.slot is not None:
                place.slot.close()
                place.slot = None
            self._free.put(place.slot)

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
        with contextlib.suppress(queue.Empty):
            while True:
                slot = self._free.get_nowait()
                if slot is not None:
                    slot.close()
        for _ in range(self._n_slots):
            self._free.put(None)  # whoever had just got its turn wakes up
        self._backend.close()


class _Place:
    """Where one slot stands; a failed slot is replaced here."""

    def __init__(self, backend: Backend, slot: Slot | None) -> None:
        self._backend, self.slot = backend, slot
        self._most_steps = STEPS_PER_SLOT[backend.isolation]

    def run(self, step: Step) -> StepResult:
        for left in reversed(range(_TRIES)):
            try:
                if self.slot is None:
                    self.slot = Slot(self._backend.start(), env=self._backend.env)
                result = self.slot.run(step)
            except SandboxError as error:
                self._drop()
                if not left or isinstance(error, NamespacesRefusedError):
                    raise
            else:
                if self.slot.tainted or self.slot.n_steps >= self._most_steps:
                    self._drop()
                return result
        raise AssertionError("unreachable")

    def _drop(self) -> None:
        if self.slot is not None:
            self.slot.close()
            self.slot = None
