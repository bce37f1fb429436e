"""Every case of the conformance suite, on every backend.

The suite itself is tested by tests/test_conformance.py.
"""

import os

import pytest

from codebench.conformance.case import Bench, Case
from codebench.conformance.suite import CASES, HOST_ENV, State, try_case
from codebench.conformance.watched import WatchedBackend
from codebench.sandbox.pool import SlotPool


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_holds(case: Case, pool: SlotPool, backend: WatchedBackend) -> None:
    """The promise holds, and the harmless program right after it is unharmed in the same slot."""
    finding = try_case(case, Bench(pool), n_early_ends=lambda: backend.n_early_ends)
    if finding.state is State.NOT_HERE:
        pytest.skip(finding.seen)
    assert finding.state is State.HOLDS, finding.seen


def test_the_machine_is_set_up_for_it(backend: WatchedBackend) -> None:
    """What programs look for in the environment of the machine is there to be found."""
    assert HOST_ENV.items() <= os.environ.items()
