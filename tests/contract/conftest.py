"""One suite that every backend passes: each test must leave its slot as it found it."""

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping

import pytest

from codebench.languages.rust import RustRules
from codebench.sandbox.backend import Backend, Isolation
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.execution import COMPILE_LIMITS, RUN_LIMITS, Stage, Step, StepResult
from codebench.sandbox.pool import SlotPool
from codebench.sandbox.selftest import prove
from tests.contract.counting import CountingBackend

_HOST_ENV = {"CODEBENCH_CANARY": "seen", "RUSTC_BOOTSTRAP": "1"}
"""Set on the host while the slots run; no sample may see it."""


def _docker(isolation: Isolation) -> Backend:
    from codebench.sandbox.docker import DockerBackend

    return DockerBackend(isolation)


_BACKENDS: Mapping[str, Callable[[], Backend]] = {
    "bubblewrap": BubblewrapBackend,
    "docker-namespaces": lambda: _docker(Isolation.NAMESPACES),
    "docker-uid": lambda: _docker(Isolation.UID),
}


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(name, marks=getattr(pytest.mark, name.partition("-")[0])) for name in _BACKENDS
    ],
)
def backend(request: pytest.FixtureRequest) -> Iterator[CountingBackend]:
    """Each backend in turn."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _HOST_ENV.items():
            patch.setitem(os.environ, name, value)
        yield CountingBackend(_BACKENDS[request.param])


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
def isolation(backend: CountingBackend) -> Isolation:
    """The level of isolation; the second, by user, promises less: sandbox/README.md."""
    return backend.isolation


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
    n_early_ends = backend.n_early_ends
    yield
    result = python(_HARMLESS)
    assert result.execution.exit_code == 0, result
    assert result.stdout == b"['own', 'program.py'] [] []\n"
    assert backend.n_early_ends == n_early_ends, "the slot died and was replaced"
