"""One suite that every backend passes: each test must leave its slot as it found it."""

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping

import pytest

from codebench.languages.rust import RustRules
from codebench.sandbox.backend import Backend
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.channel import Channel
from codebench.sandbox.execution import COMPILE_LIMITS, RUN_LIMITS, Stage, Step, StepResult
from codebench.sandbox.pool import SlotPool
from codebench.sandbox.selftest import prove

_HOST_ENV = {"CODEBENCH_CANARY": "seen", "RUSTC_BOOTSTRAP": "1"}
"""Set on the host while the slots run; no sample may see it."""


class CountingBackend:
    """A real backend that counts its starts, so that no slot dies and is replaced unseen."""

    isolation = "namespaces"

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.kind, self.image = backend.kind, backend.image
        self.env: Mapping[str, str] = backend.env
        self.n_starts = 0

    def start(self) -> Channel:
        """See `Backend`."""
        self.n_starts += 1
        return self._backend.start()

    def close(self) -> None:
        """See `Backend`."""
        self._backend.close()


def _docker() -> Backend:
    from codebench.sandbox.docker import DockerBackend

    return DockerBackend()


_BACKENDS: Mapping[str, Callable[[], Backend]] = {
    "bubblewrap": BubblewrapBackend,
    "docker": _docker,
}


@pytest.fixture(
    scope="session",
    params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in _BACKENDS],
)
def backend(request: pytest.FixtureRequest) -> Iterator[CountingBackend]:
    """Each backend in turn."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _HOST_ENV.items():
            patch.setitem(os.environ, name, value)
        yield CountingBackend(_BACKENDS[request.param]())


@pytest.fixture(scope="session")
def pool(backend: CountingBackend) -> Iterator[SlotPool]:
    """A pool of one slot, so that every step meets what the step before it left behind."""
    pool = SlotPool(backend, n_slots=1)
    try:
        prove(pool)
        yield pool
    finally:
        pool.close()


@pytest.fixture
def rustc_version(pool: SlotPool) -> tuple[int, ...]:
    """The version of rustc in the sandbox, as (1, 95, 0); Debian 12 has 1.63."""
    found = re.match(r"rustc (\d+)\.(\d+)\.(\d+)", pool.info().rustc or "")
    assert found is not None
    return tuple(map(int, found.groups()))


@pytest.fixture
def python(pool: SlotPool) -> Callable[..., StepResult]:
    """Run a Python program; keywords change the limits."""

    def run(source: str, **limits: float) -> StepResult:
        return pool.run(
            Step(
                stage=Stage.RUN,
                argv=("python3", "-I", "-S", "-B", "program.py"),
                files={"program.py": source.encode()},
                limits=RUN_LIMITS.model_copy(update=limits),
            )
        )

    return run


@pytest.fixture
def rust(pool: SlotPool) -> Callable[..., StepResult]:
    """Compile a Rust program as a benchmark would; keywords change the limits."""

    def run(source: str | bytes, **limits: float) -> StepResult:
        program = source.encode() if isinstance(source, str) else source
        step = RustRules().compile_step(program)
        return pool.run(dataclasses.replace(step, limits=COMPILE_LIMITS.model_copy(update=limits)))

    return run


_HARMLESS = """
import os, sys
open("own", "w").write("x" * 100000)
print(sorted(os.listdir(".")), os.listdir("/tmp"), os.listdir("/dev/shm"))
"""


@pytest.fixture(autouse=True)
def unharmed(backend: CountingBackend, python: Callable[..., StepResult]) -> Iterator[None]:
    """After every test a harmless program runs in the same slot, and nothing has touched it."""
    n_starts = backend.n_starts
    yield
    result = python(_HARMLESS)
    assert result.execution.exit_code == 0, result
    assert result.stdout == b"['own', 'program.py'] [] []\n"
    assert backend.n_starts == n_starts, "the slot died and was replaced"
