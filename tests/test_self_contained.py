"""Which tasks may share a checker's process: those that can leave nothing behind."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codebench.languages.python_tests import grading_step, read_grading
from codebench.languages.verdict import Outcome
from codebench.prompts.model import Prompt
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.pool import SlotPool

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))

from self_contained import is_self_contained

_BOX = "class Box:\n    def __init__(self, n):\n        self.n = n\n"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "assert double(2) == 4",
        "import math\nfrom typing import List\nassert area(1.0) == math.pi",
        "def check(candidate):\n    for n in range(9):\n        assert candidate(n) == n * n",
        "d = {}\nd['a'] = 1\nassert count('a') == d",
        _BOX + "assert Box(1).n == 1",
    ],
)
def test_names_calls_and_asserts_stay_together(source: str) -> None:
    """A task that changes nothing but its own names needs no process of its own."""
    assert is_self_contained(source)


@pytest.mark.parametrize(
    "source",
    [
        "import builtins",
        "import os.path",
        "from random import seed",
        "from .x import y",
        "import math\nmath.pi = 3",
        "del x.y",
        "x.y += 1",
        "setattr(x, 'y', 1)",
        "globals()['len'] = len",
        "exec('import os')",
        "eval('1')",
        "__builtins__['len'] = 0",
        "x.__class__.__base__.f = 1",
        "import re\nre.purge()",
        "f.cache_clear()",
        "import abc\nabc.ABC.register(int)",
        "def f():\n    global x\n    x = 1",
        "async def f(): pass",
        "open('x', 'w')",
        "print(1)",
        "1 +",
        "(" * 500,
    ],
)
def test_whatever_could_be_left_behind_is_alone(source: str) -> None:
    """In doubt a task gets a process of its own."""
    assert not is_self_contained(source)


@pytest.fixture(scope="module")
def slot() -> Iterator[SlotPool]:
    """Open one slot, so that every task meets what the one before has left."""
    pool = open_sandbox(SandboxKind.BUBBLEWRAP, n_slots=1, notify=lambda _: None)
    yield pool
    pool.close()


def _outcome(slot: SlotPool, test: str) -> Outcome:
    prompt = Prompt(
        id="p",
        language="python",
        category="c",
        item="def double",
        prompt="def double(n):\n",
        reference="    return 2 * n",
        tests=(test,),
    )
    step = grading_step(prompt, b"def double(n):\n    return 2 * n\n")
    return read_grading(step, slot.run(step)).outcome


@pytest.mark.bubblewrap
def test_one_task_cannot_change_the_next(slot: SlotPool) -> None:
    """Tests that patch builtins and modules are gone when the next prompt is judged."""
    honest = "import math\nassert double(2) == 4 and math.pi > 3 and abs(-1) == 1"
    assert _outcome(slot, honest) is Outcome.PASSED
    vandal = "import builtins, math\nmath.pi = 0\nbuiltins.abs = None\nassert double(2) == 4"
    assert _outcome(slot, vandal) is Outcome.PASSED
    assert _outcome(slot, honest) is Outcome.PASSED
    assert _outcome(slot, "assert double(2) == 5") is Outcome.FAILED_TESTS
    assert _outcome(slot, honest) is Outcome.PASSED
