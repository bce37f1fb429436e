# ruff: noqa: E501 - programs and tests as they stand
"""What the tests of Python programs can ask across the process border, and what a failure says."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codebench.languages.python_tests import grading_step, read_grading
from codebench.languages.verdict import Graded, Outcome
from codebench.prompts import load_prompt_set
from codebench.prompts.model import Isolation, Language, Prompt
from codebench.sandbox.execution import Execution, Stage, StepResult, StoppedBy
from tests.warm_pair import WarmPair

HUMANEVAL = Path(__file__).parents[2] / "shared" / "data" / "humaneval" / "HumanEval.jsonl.gz"
SANDBOX = Path(__file__).parents[1] / "sandbox"
Grade = Callable[..., Graded]


@pytest.fixture(scope="module")
def pair() -> Iterator[WarmPair]:
    """One warm interpreter."""
    pair = WarmPair()
    yield pair
    pair.close()


def make_prompt(*tests: str, **fields: object) -> Prompt:
    """Return a prompt for `f` with these tests."""
    usual: dict[str, object] = {
        "id": "f",
        "language": Language.PYTHON,
        "category": "any",
        "item": "def f",
        "prompt": "def f(*arguments):\n",
        "reference": "    pass\n",
        "tests": tests,
    }
    return Prompt.model_validate({**usual, **fields})


@pytest.fixture
def grade(pair: WarmPair) -> Grade:
    """Grade a program by tests; keywords change the prompt."""

    def run(program: str, *tests: str, **fields: object) -> Graded:
        step = grading_step(make_prompt(*tests, **fields), program.encode())
        return read_grading(step, pair.run(step))

    return run


def humaneval() -> list[dict[str, str]]:
    """Return the tasks, or skip where the file is not beside the repository."""
    if not HUMANEVAL.is_file():
        pytest.skip(f"{HUMANEVAL} is not there")
    with gzip.open(HUMANEVAL, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _humaneval_prompt(row: dict[str, str]) -> Prompt:
    name = row["entry_point"]
    return make_prompt(
        f"{row['test']}\ncheck({name})\n",
        id=row["task_id"],
        item=f"def {name}",
        prompt=row["prompt"],
        reference=row["canonical_solution"],
    )


@pytest.mark.slow
def test_humaneval_canonical_164_pass(pair: WarmPair) -> None:
    """All 164 reference solutions pass; all 164 empty bodies and wrong values fail."""
    rows = humaneval()
    assert len(rows) == 164
    for row in rows:
        prompt = _humaneval_prompt(row)
        for body, outcome in (
            (row["canonical_solution"], Outcome.PASSED),
            ("    pass\n", Outcome.FAILED_TESTS),
            ("    return 'wrong'\n", Outcome.FAILED_TESTS),
        ):
            step = grading_step(prompt, (row["prompt"] + body).encode())
            graded = read_grading(step, pair.run(step))
            assert graded.outcome is outcome, (row["task_id"], body, graded)
            assert (graded.tests.passed == graded.tests.planned) is (outcome is Outcome.PASSED)


@pytest.mark.parametrize("number", [32, 38, 50])
def test_humaneval_32_38_50_helpers_trusted(pair: WarmPair, number: int) -> None:
    """Helpers that the test calls are the prompt's own, not those that the program put there."""
    row = humaneval()[number]
    helper = {32: "poly", 38: "encode_cyclic", 50: "encode_shift"}[number]
    same = {32: "lambda xs, x: 0", 38: "lambda s: s", 50: "lambda s: s"}[number]
    body = {32: "    return 0.5\n", 38: "    return s\n", 50: "    return s\n"}[number]
    program = f"{row['prompt']}{body}\n{helper} = {same}\n"
    step = grading_step(_humaneval_prompt(row), program.encode())
    assert read_grading(step, pair.run(step)).outcome is Outcome.FAILED_TESTS


@pytest.mark.parametrize("prompt", load_prompt_set("python-basics").prompts, ids=lambda p: p.id)
def test_python_basics_are_graded_apart(pair: WarmPair, prompt: Prompt) -> None:
    """Every prompt of the built-in set is graded without sharing a process with its tests."""
    assert prompt.isolation is Isolation.SEPARATE
    for body, outcome in (
        (prompt.reference, Outcome.PASSED),
        (prompt.wrong, Outcome.FAILED_TESTS),
    ):
        step = grading_step(prompt, f"{prompt.prefix}{body}".encode())
        graded = read_grading(step, pair.run(step))
        assert graded.outcome is outcome, graded
        assert graded.tests.planned == len(prompt.tests)


def test_planned_and_passed_blocks(grade: Grade) -> None:
    """Of several blocks those before the first that fails have passed."""
    tests = grade("f = abs\n", "assert f(-1) == 1", "assert f(2) == 3", "assert f(4) == 4").tests
    assert (tests.planned, tests.passed) == (3, 1)


def test_planned_and_passed_asserts(grade: Grade) -> None:
    """Of a single block the assert statements are counted, however often a loop runs them."""
    test = (
        "def check(g):\n    for i in range(9):\n        assert g(i) == i\n    assert g(-2) == -2\n"
    )
    tests = grade("f = abs\n", f"{test}    assert g(1) == 1\ncheck(f)\n").tests
    assert (tests.planned, tests.passed) == (3, 1)


def test_failure_says_what_was_asked(grade: Grade) -> None:
    """A failed comparison tells the check, the call, what was expected and what came."""
    failure = grade(
        "def f(a, b=0):\n    return [a, b]\n", "assert f(1, b='x') == [1, 'y']"
    ).tests.failure
    assert failure is not None
    assert failure.check == "assert f(1, b='x') == [1, 'y']"
    assert failure.arguments == "f(1, b='x')"
    assert (failure.expected, failure.got) == ("[1, 'y']", "[1, 'x']")


def test_failure_knows_which_side_is_the_answer(grade: Grade) -> None:
    """What was expected is found on either side of the comparison."""
    failure = grade("def f():\n    return 4\n", "assert 5 == f()").tests.failure
    assert failure is not None
    assert (failure.expected, failure.got) == ("5", "4")


def test_failure_is_bounded(grade: Grade) -> None:
    """No text of a report is long, whatever the program answers."""
    program = "def f(x):\n    return ['y' * 10**6] * 3\n"
    failure = grade(
        program, "assert f('x' * 10**6) == {i: 'z' * 999 for i in range(999)}"
    ).tests.failure
    assert failure is not None
    for text in (failure.check, failure.arguments, failure.expected, failure.got):
        assert text is not None
        assert len(text) <= 200


def test_failure_shows_the_line_of_an_exception(grade: Grade) -> None:
    """An exception is told with its message and the line of the program, not of the library."""
    program = "import json\n\ndef f(text):\n    return json.loads(text)\n"
    failure = grade(program, "\nassert f('{') == {}").tests.failure
    assert failure is not None
    assert failure.line == 4
    assert failure.check == "assert f('{') == {}"
    assert failure.message is not None
    assert failure.message.startswith("JSONDecodeError: Expecting property name")


def test_compile_error(grade: Grade) -> None:
    """A program that does not compile has its message, line and column, and was not run."""
    graded = grade("import os\nos._exit(3)\ndef f(:\n", "assert f() == 1")
    assert graded.outcome is Outcome.COMPILE_ERROR
    assert not graded.tests.built
    (error,) = graded.diagnostics
    assert (error.code, error.message, error.line, error.column) == (
        "SyntaxError",
        "invalid syntax",
        3,
        7,
    )


def test_compiler_warnings(grade: Grade) -> None:
    """Warnings of the compiler come with the result of a program that passes."""
    graded = grade("def f():\n    return 1 is 1\n", "assert f()")
    assert graded.outcome is Outcome.PASSED
    assert [warning.code for warning in graded.diagnostics] == ["SyntaxWarning"]


def test_bytes_that_are_no_text(pair: WarmPair) -> None:
    """A program of invalid bytes is a compile error."""
    for program in (b"def f():\n    '\xff'\n", b"x = 1\x00\n"):
        step = grading_step(make_prompt("assert f() is None"), program)
        assert read_grading(step, pair.run(step)).outcome is Outcome.COMPILE_ERROR


def test_exception_at_import(grade: Grade) -> None:
    """A program that raises while it is imported fails with the message and the line."""
    graded = grade("x = 1\n1 / 0\n", "assert f() == 1", "assert f() == 2")
    assert graded.outcome is Outcome.FAILED_TESTS
    assert (graded.tests.planned, graded.tests.passed) == (2, 0)
    assert graded.tests.failure is not None
    assert graded.tests.failure.message == "ZeroDivisionError: division by zero"
    assert graded.tests.failure.line == 2


def test_missing_module_is_named(grade: Grade) -> None:
    """A module that the sandbox does not have is named."""
    graded = grade("import no_such_module\n", "assert f() == 1")
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.failure is not None
    assert "No module named 'no_such_module'" in (graded.tests.failure.message or "")


def test_missing_item(grade: Grade) -> None:
    """A program without the item fails with its name."""
    failure = grade("def g():\n    pass\n", "assert f() == 1").tests.failure
    assert failure is not None
    assert "'f' is not defined" in (failure.message or "")


def test_main_guard_does_not_run(grade: Grade) -> None:
    """What stands under `if __name__ == "__main__"` is not run."""
    program = 'def f():\n    return 1\nif __name__ == "__main__":\n    raise SystemExit(input())\n'
    assert grade(program, "assert f() == 1").outcome is Outcome.PASSED


def test_broken_tests_are_our_fault(grade: Grade) -> None:
    """Tests that are no Python are never counted against the program."""
    graded = grade("def f():\n    return 1\n", "assert f( == 1", "assert f() == 1")
    assert graded.outcome is Outcome.INFRA_ERROR


PASSES = {
    "mutated arguments come back": (
        "def f(xs, d, s):\n    xs.sort(); xs[0].append(7); d['k'] = xs; s.discard(1); del d['old']\n",
        "inner = [0]; xs = [[5], inner]; d = {'old': 1}; s = {1, 2}\n"
        "f(xs, d, s)\n"
        "assert xs == [[0, 7], [5]] and xs[0] is inner and d == {'k': xs} and d['k'] is xs and s == {2}",
    ),
    "an argument that is returned is the same object": (
        "def f(x):\n    return x\n",
        "x = [1]; assert f(x) is x; assert f(f) is f",
    ),
    "arguments that are not changed stay": (
        "def f(x):\n    return sorted(x)\n",
        "x = [2, 1]; assert f(x) == [1, 2]; assert x == [2, 1]",
    ),
    "key functions and nested calls back": (
        "def f(g, n):\n    return n if n == 0 else g(f, n - 1) + 1\n",
        "assert f(lambda h, n: h(lambda k, m: k(None, 0) if m == 0 else m, n), 3) == 3\n"
        "def twice(h, n): return h(twice, n)\n"
        "assert f(twice, 5) == 5",
    ),
    "exceptions by class, arguments and attributes": (
        "class Low(ValueError):\n    def __init__(self, a, b):\n        super().__init__(f'{a}<{b}')\n"
        "        self.a = a\ndef f():\n    raise Low(1, 2)\n",
        "try:\n    f()\nexcept ValueError as e:\n    assert str(e) == '1<2' and e.a == 1 and type(e).__name__ == 'Low'\n"
        "else:\n    raise AssertionError",
    ),
    "exceptions of the tests come through the program": (
        "def f(g):\n    try:\n        return g()\n    finally:\n        pass\n",
        "class Mine(Exception): pass\n"
        "error = Mine(3)\ndef g(): raise error\n"
        "try:\n    f(g)\nexcept Mine as e:\n    assert e is error\nelse:\n    raise AssertionError",
    ),
    "exceptions of the standard library": (
        "import json, subprocess\ndef f(s):\n    json.loads(s)\n",
        "import json\ntry:\n    f('x')\nexcept json.JSONDecodeError as e:\n    assert e.pos == 0\nelse:\n    raise AssertionError",
    ),
    "sys.exit inside a call can be expected": (
        "import sys\ndef f():\n    sys.exit(3)\n",
        "try:\n    f()\nexcept SystemExit as e:\n    assert e.code == 3\nelse:\n    raise AssertionError",
    ),
    "generators: send, throw, close, types": (
        "def f():\n    got = yield 1\n    try:\n        yield got\n    except KeyError:\n        yield 'caught'\n",
        "import types\ng = f(); assert next(g) == 1 and g.send([2]) == [2] and g.throw(KeyError) == 'caught'\n"
        "assert list(g) == [] and isinstance(f(), types.GeneratorType) and iter(g) is g",
    ),
    "endless generators": (
        "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1\n",
        "import itertools; assert list(itertools.islice(f(), 3)) == [0, 1, 2]; assert 3 in f()",
    ),
    "subclasses of data as answers": (
        "from collections import Counter, defaultdict, OrderedDict, namedtuple\nimport enum\n"
        "P = namedtuple('P', 'x y')\nclass E(enum.IntEnum):\n    ONE = 1\n"
        "def f(k):\n    return {'c': Counter('aa'), 'p': P(1, 2), 'e': E.ONE,\n"
        "            'd': defaultdict(int, a=1), 'o': OrderedDict(a=1)}[k]\n",
        "assert f('c') == {'a': 2} and f('p') == (1, 2) and f('e') == 1 and f('d') == {'a': 1}\n"
        "assert f('o') == {'a': 1} and f('p').x == 1 and f('e') + 1 == 2 and (1, 2) == f('p')\n"
        "assert f('e').name == 'ONE'",
    ),
    "files in memory": (
        "def f(file):\n    return [line.strip() for line in iter(file.readline, '')]\n",
        "import io; assert f(io.StringIO('a\\nb\\n')) == ['a', 'b']",
    ),
    "objects of the tests' own classes": (
        "def f(node):\n    node.seen = True\n    return node.value + (f(node.next) if node.next else 0)\n",
        "class Node:\n    def __init__(self, value, next=None):\n        self.value, self.next = value, next\n"
        "n = Node(1, Node(2)); assert f(n) == 3 and n.seen and n.next.seen",
    ),
    "coroutines": (
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x + 1\n",
        "import asyncio\nassert asyncio.run(f(1)) == 2\n"
        "async def both():\n    return await asyncio.gather(f(1), f(2))\n"
        "assert asyncio.run(both()) == [2, 3]",
    ),
    "context managers": (
        "import contextlib\nlog = []\n@contextlib.contextmanager\ndef f():\n    log.append('in')\n"
        "    try:\n        yield log\n    except KeyError:\n        log.append('caught')\n    log.append('out')\n",
        "with f() as log:\n    pass\nassert log == ['in']\n"
        "with f() as log:\n    raise KeyError\nwith f() as log:\n    assert log[-2:] == ['out', 'in'], log",
    ),
    "unittest cases": (
        "def f(x):\n    return x * 2\n",
        "import unittest\nclass TestF(unittest.TestCase):\n    def setUp(self):\n        self.x = 2\n"
        "    def test_two(self):\n        self.assertEqual(f(self.x), 4)\n"
        "    def test_raises(self):\n        with self.assertRaises(TypeError):\n            f(None)\n",
    ),
    "numbers exactly": (
        "def f(x):\n    return x\n",
        "import math; assert f(10**5000) == 10**5000 and math.isnan(f(math.nan)) and f('\\ud800') == '\\ud800'\n"
        "assert math.copysign(1, f(-0.0)) == -1 and f(True) is True and type(f(1.0)) is float",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSES)
def test_what_crosses(grade: Grade, name: str) -> None:
    """What tests use of a function that is asked for works across the border."""
    program, test = PASSES[name]
    graded = grade(program, test)
    assert graded.outcome is Outcome.PASSED, graded


def test_unittest_case_that_fails(grade: Grade) -> None:
    """The first method that fails is the failure."""
    test = "import unittest\nclass TestF(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f(1), 3)\n"
    graded = grade("def f(x):\n    return 2\n", test)
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.failure is not None
    assert graded.tests.failure.check == "self.assertEqual(f(1), 3)"
    assert graded.tests.failure.message == "AssertionError: 2 != 3"


_VECTOR = """
class Vector:
    def __init__(self, *parts):
        self.parts = list(parts)
    def __eq__(self, other):
        return self.parts == (other.parts if isinstance(other, Vector) else list(other))
    def __hash__(self):
        return hash(tuple(self.parts))
    def __lt__(self, other):
        return self.parts < other.parts
    def __add__(self, other):
        return Vector(*(a + b for a, b in zip(self.parts, other.parts)))
    def __mul__(self, factor):
        return Vector(*(a * factor for a in self.parts))
    __rmul__ = __mul__
    def __neg__(self):
        return self * -1
    def __getitem__(self, at):
        return self.parts[at]
    def __setitem__(self, at, value):
        self.parts[at] = value
    def __len__(self):
        return len(self.parts)
    def __contains__(self, part):
        return part in self.parts
    def __repr__(self):
        return f"Vector{tuple(self.parts)}"
    def __call__(self, function):
        return Vector(*map(function, self.parts))
    @classmethod
    def zero(cls):
        return cls(0, 0)
    @property
    def norm(self):
        return sum(part * part for part in self.parts)
"""
_VECTOR_TESTS = (
    "a, b = Vector(1, 2), Vector(3, 4); assert a + b == Vector(4, 6) and a != b and a == [1, 2]",
    "a = Vector(1, 2); assert 2 * a == a * 2 == Vector(2, 4) and -a == Vector(-1, -2)",
    "a = Vector(1, 2); a[0] = 9; assert a[0] == 9 and len(a) == 2 and 9 in a and 1 not in a and a[:1] == [9]",
    "assert repr(Vector(1)) == 'Vector(1,)' and f'{Vector(1)}' == str(Vector(1))",
    "assert len({Vector(1), Vector(1), Vector(2)}) == 2 and {Vector(1): 'x'}[Vector(1)] == 'x'",
    "assert sorted([Vector(2), Vector(1)])[0].parts == [1] and max(Vector(1), Vector(3)).norm == 9",
    "assert Vector(1, 2)(lambda part: part + 1) == Vector(2, 3) and Vector.zero() == Vector(0, 0)",
    "assert isinstance(Vector(1), Vector) and not isinstance([], Vector) and isinstance(-Vector(1), Vector)",
    "import copy; a = Vector(1); b = copy.deepcopy(a); b[0] = 5; assert a[0] == 1 and b[0] == 5",
    "a = Vector(1); a.name = 'x'; assert a.name == 'x' and vars(a) == {'parts': [1], 'name': 'x'}\n"
    "del a.name; assert not hasattr(a, 'name')",
    "assert [part for part in Vector(1, 2)] == [1, 2] and not callable(Vector(1).parts)",
)


@pytest.mark.parametrize("test", _VECTOR_TESTS)
def test_instances_of_a_class(grade: Grade, test: str) -> None:
    """Operators, items, calls and attributes of an instance are those of the program's class."""
    graded = grade(_VECTOR, test, item="class Vector", prompt=_VECTOR, reference="")
    assert graded.outcome is Outcome.PASSED, graded


def _execution(**facts: object) -> Execution:
    usual: dict[str, object] = {
        "exit_code": None, "signal": None, "stopped_by": None, "cpu_s": 0.0, "wall_s": 0.0,
        "peak_memory_bytes": 0, "n_stdout_bytes": 0, "n_stderr_bytes": 0,
    }  # fmt: skip
    return Execution.model_validate({"stage": Stage.RUN, **usual, **facts})


@pytest.mark.parametrize(
    ("compiled", "facts", "outcome"),
    [
        (False, {"stopped_by": StoppedBy.CPU_TIME}, Outcome.COMPILE_TIMEOUT),
        (False, {"stopped_by": StoppedBy.MEMORY}, Outcome.COMPILE_OOM),
        (False, {"signal": 11}, Outcome.COMPILE_CRASH),
        (True, {"stopped_by": StoppedBy.CPU_TIME}, Outcome.RUN_TIMEOUT),
        (True, {"stopped_by": StoppedBy.WALL_TIME}, Outcome.RUN_TIMEOUT),
        (True, {"stopped_by": StoppedBy.MEMORY}, Outcome.RUN_OOM),
        (True, {"stopped_by": StoppedBy.OUTPUT}, Outcome.OUTPUT_LIMIT),
        (True, {"signal": 11}, Outcome.RUN_CRASH),
        (True, {"exit_code": 0}, Outcome.NO_RESULT),
        (True, {}, Outcome.NO_RESULT),
    ],
)
def test_facts_without_a_verdict(
    *, compiled: bool, facts: dict[str, object], outcome: Outcome
) -> None:
    """Without a verdict of the checker the facts of the step decide, before and after compiling."""
    step = grading_step(make_prompt("assert f() == 1"), b"")
    assert step.checker is not None
    nonce = json.loads(step.checker.files["task.json"])["nonce"]
    line = json.dumps({"nonce": nonce, "kind": "compiled", "diagnostics": []}) if compiled else ""
    forged = json.dumps({"nonce": "0" * 32, "kind": "final", "result": "passed", "passed": 1})
    result = StepResult(_execution(**facts), b"", b"", f"{line}\n{forged}\nnoise\n".encode())
    assert read_grading(step, result).outcome is outcome


def test_every_step_has_a_nonce_of_its_own() -> None:
    """The answers of one step are nothing to another."""
    steps = [grading_step(make_prompt("assert f()"), b"") for _ in range(2)]
    nonces = {json.loads(s.checker.files["task.json"])["nonce"] for s in steps if s.checker}
    assert len(nonces) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", nonce) for nonce in nonces)


_SAID = {
    b"x = 1\n": (0, []),
    b"x = (\n": (1, [("error", "SyntaxError", 1, 5)]),
    b"x = 1 is 1\n": (0, [("warning", "SyntaxWarning", 1, None)]),
    b"  x = 1\n": (1, [("error", "IndentationError", 1, 2)]),
    b"import os; os._exit(7)\n": (0, []),
}


@pytest.mark.parametrize("program", _SAID)
def test_compile_only(program: bytes) -> None:
    """The compile step of the warm interpreter says what the compiler says, and runs nothing."""
    code = (
        f"import sys; sys.path.insert(0, {str(SANDBOX)!r}); import compile_program; "
        f"sys.exit(compile_program.main({{'program.py': {program!r}}}, 3))"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, check=False
    )
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    said = [(row["level"], row["code"], row["line"], row["column"]) for row in rows]
    assert (ended.returncode, said) == _SAID[program]
    assert all(row["message"] for row in rows)
