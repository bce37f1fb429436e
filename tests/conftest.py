"""What every test shares: what a machine lacks is said, and quick tests go first."""

import gc
import os
import signal
import warnings
from collections.abc import Callable, Mapping
from functools import cache

import pytest

from codebench.errors import CodebenchError

_ORDER = ("rustc", "bubblewrap", "docker", "browser", "slow")


def _try_rustc() -> None:
    from codebench.sandbox.toolchain import find_rust_sysroot

    find_rust_sysroot()


def _try_bubblewrap() -> None:
    from codebench.sandbox.bubblewrap import BubblewrapBackend
    from codebench.sandbox.slot import Slot

    backend = BubblewrapBackend()
    channel = backend.start()
    try:
        Slot(channel, env=backend.env)
    finally:
        channel.close()


def _try_docker() -> None:
    from codebench.sandbox.docker import DockerBackend

    DockerBackend().close()


_TRIALS: Mapping[str, Callable[[], None]] = {
    "rustc": _try_rustc,
    "bubblewrap": _try_bubblewrap,
    "docker": _try_docker,
}


@cache
def _what_is_missing(marker: str) -> str | None:
    """Return why tests with `marker` cannot run on this machine, or None; asked once a session."""
    reason = None
    with warnings.catch_warnings():
        # docker 7.1 leaves the socket of a failed connection to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            _TRIALS[marker]()
        except CodebenchError as error:
            reason = " ".join(str(error).split())
        gc.collect()
    return reason


def _cost(item: pytest.Item) -> int:
    ranks = [_ORDER.index(mark.name) for mark in item.iter_markers() if mark.name in _ORDER]
    return 1 + max(ranks, default=-1)


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Let what the tests start be interrupted, even where a shell started us to ignore it (`&`)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the quick tests first, so that a simple mistake is told within seconds."""
    items.sort(key=_cost)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run; CODEBENCH_REQUIRE_<MARKER>=1 makes that a failure."""
    for mark in item.iter_markers():
        if mark.name in _TRIALS and (reason := _what_is_missing(mark.name)):
            if os.environ.get(f"CODEBENCH_REQUIRE_{mark.name.upper()}") == "1":
                pytest.fail(f"{mark.name} is required here: {reason}", pytrace=False)
            pytest.skip(f"{mark.name}: {reason}")
