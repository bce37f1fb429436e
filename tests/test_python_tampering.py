# ruff: noqa: E501 - programs and tests as they stand
"""Programs that cheat: each is graded as it would be by the checker in the sandbox."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codebench.languages.python_tests import grading_step, read_grading
from codebench.languages.verdict import Graded, Outcome
from codebench.prompts.model import Isolation, Language, Prompt
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.pool import SlotPool
from tests.warm_pair import WarmPair

Grade = Callable[..., Graded]
_SECRET = 271_828_182_845
_REFERENCE = f"    return {_SECRET} if n == 3 else n * n\n"
_TESTS = (f"assert square(3) == {_SECRET}", "assert square(5) == 25")
_CHECK = """
def check(candidate):
    assert candidate(3) == 271_828_182_845
    for n in range(10, 20):
        assert candidate(n) == n * n
check(square)
"""


def make_prompt(**fields: object) -> Prompt:
    """Return a prompt for `square`, which nobody can guess at 3."""
    usual: dict[str, object] = {
        "id": "square",
        "language": Language.PYTHON,
        "category": "math",
        "item": "def square",
        "prompt": "def square(n):\n",
        "reference": _REFERENCE,
        "tests": _TESTS,
    }
    return Prompt.model_validate({**usual, **fields})


@pytest.fixture(scope="module")
def pair() -> Iterator[WarmPair]:
    """One warm interpreter."""
    pair = WarmPair()
    yield pair
    pair.close()


@pytest.fixture(params=[_TESTS, (_CHECK,)], ids=["blocks", "check"])
def grade(pair: WarmPair, request: pytest.FixtureRequest) -> Grade:
    """Grade a whole program, by blocks and by a `check` in the manner of HumanEval."""

    def run(program: str) -> Graded:
        step = grading_step(make_prompt(tests=request.param), program.encode())
        return read_grading(step, pair.run(step))

    return run


def test_honest_program_passes(grade: Grade) -> None:
    """The same tests pass a program that answers as the reference does."""
    graded = grade("def square(n):\n" + _REFERENCE)
    assert graded.outcome is Outcome.PASSED
    assert graded.tests.passed == graded.tests.planned == 2


@pytest.mark.parametrize("place", ["import", "call"])
def test_sys_exit0(grade: Grade, place: str) -> None:
    """Leaving with status 0 is no result."""
    leave = "import sys; sys.exit(0)"
    program = f"{leave}\n" if place == "import" else f"def square(n):\n    {leave}\n"
    assert grade(program).outcome is Outcome.NO_RESULT


@pytest.mark.parametrize("place", ["import", "call"])
def test_os__exit0(grade: Grade, place: str) -> None:
    """Leaving at once with status 0 is no result."""
    leave = "import os; os._exit(0)"
    program = f"{leave}\n" if place == "import" else f"def square(n):\n    {leave}\n"
    graded = grade(program)
    assert graded.outcome is Outcome.NO_RESULT
    assert graded.tests.failure is not None
    assert graded.tests.failure.message is not None
    assert "exit status 0" in graded.tests.failure.message


def test_raise_systemexit_at_import(grade: Grade) -> None:
    """`raise SystemExit` at the top is no result."""
    assert grade("raise SystemExit\n").outcome is Outcome.NO_RESULT


def test_atexit_flip(grade: Grade) -> None:
    """What runs at the end changes nothing."""
    program = """
import atexit, os, sys, threading
atexit.register(os._exit, 0)
sys.excepthook = lambda *_: os._exit(0)
class Late:
    def __del__(self):
        os._exit(0)
late = Late()
def square(n):
    return 0
"""
    assert grade(program).outcome is Outcome.FAILED_TESTS


_ALWAYS = """
class Always{base}:
    __class__ = property(lambda self: int)
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    def __hash__(self): return 0
    def __bool__(self): return True
    def __len__(self): return 1
    def __contains__(self, value): return True
    def __sub__(self, other): return 0
    __rsub__ = __add__ = __radd__ = __sub__
    def __abs__(self): return 0
    def __getattr__(self, name): return self
    def __call__(self, *args): return self
    def __iter__(self): return iter((self,))
def square(n):
    return Always({value})
"""


@pytest.mark.parametrize(("base", "value"), [("", ""), ("(int)", "7"), ("(float)", "0.5")])
def test_always_equal(grade: Grade, base: str, value: str) -> None:
    """An object that equals everything equals nothing that was expected."""
    program = _ALWAYS.replace("{base}", base).replace("{value}", value)
    assert grade(program).outcome is Outcome.FAILED_TESTS


@pytest.mark.parametrize(
    "test",
    [
        "assert square(3) == 9",
        "assert 9 == square(3)",
        "assert not square(3) != 9",
        "assert abs(square(3) - 9) < 1e-6",
        "assert abs(9 - square(3)) <= 1e-6",
        "assert square(3) >= 9",
        "assert square(3) in (9, 10)",
        "assert 9 in square(3)",
        "assert square(3) is 9 or square(3).startswith('9')",
        "assert square(3).issubset({9})",
        "assert [square(3)] == [9]",
        "assert {'a': square(3)} == {'a': 9}",
        "assert isinstance(square(3), int)",
        "assert type(square(3)) is int",
        "assert square(3).value == 9",
        "assert square(3)() == 9",
        "assert sum(square(3)) == 9",
        "assert sorted(square(3)) == [9]",
        "assert square(3).count(9)",
        "assert square(3) + 0 == 9",
        "import math; assert math.isclose(square(3), 9)",
        "assert square(3) == square(4)",
    ],
)
def test_always_equal_in_every_form_of_a_test(pair: WarmPair, test: str) -> None:
    """No form of comparison hands the expected value to an object of the program."""
    program = _ALWAYS.replace("{base}", "").replace("{value}", "")
    step = grading_step(make_prompt(tests=(test,)), program.encode())
    assert read_grading(step, pair.run(step)).outcome is Outcome.FAILED_TESTS


def test_str_subclass_eq(pair: WarmPair) -> None:
    """A subclass of str is compared by its characters, not by its own `==`."""
    program = """
class Text(str):
    def __eq__(self, other): return True
    def __hash__(self): return 0
    def __str__(self): return "right"
def square(n):
    return Text(n)
"""
    for text, outcome in (("right", Outcome.FAILED_TESTS), ("wrong", Outcome.PASSED)):
        tests = (f'assert square("wrong") == "{text}"',)
        step = grading_step(make_prompt(tests=tests), program.encode())
        assert read_grading(step, pair.run(step)).outcome is outcome


def test_builtins_override(grade: Grade) -> None:
    """Builtins and modules that the program replaced are its own only."""
    program = """
import builtins, json, math, operator, os, struct, sys, types
for name in ("abs", "isinstance", "all", "any", "len", "sorted", "bool", "int", "AssertionError"):
    setattr(builtins, name, lambda *_, **__: True)
math.isclose = lambda *_, **__: True
json.dumps = lambda *_: "{}"
def square(n):
    return 0
"""
    assert grade(program).outcome in {Outcome.FAILED_TESTS, Outcome.NO_RESULT}


def test_monkeypatch_check(grade: Grade) -> None:
    """A `check` of the program's own, and the shim's functions replaced, change nothing."""
    program = """
import sys
def check(candidate):
    pass
import unittest
unittest.TestCase.assertEqual = lambda *_: None
for name in ("check_blocks", "check_rewriting", "checker"):
    module = sys.modules.get(name)
    for key in dir(module) if module else ():
        if not key.startswith("__") and callable(getattr(module, key)):
            setattr(module, key, lambda *_, **__: {"planned": 1, "passed": 1, "result": "passed"})
def square(n):
    return 0
"""
    assert grade(program).outcome is Outcome.FAILED_TESTS


def test_fake_passed_marker(grade: Grade) -> None:
    """Words on stdout and stderr prove nothing."""
    line = json.dumps(
        {"nonce": "0", "kind": "final", "planned": 2, "passed": 2, "result": "passed"}
    )
    program = f"""
import sys
def square(n):
    print({line!r}); print("ALL TESTS PASSED", file=sys.stderr); sys.stdout.flush()
    return 0
"""
    assert grade(program).outcome is Outcome.FAILED_TESTS


def test_steal_result_fd(grade: Grade) -> None:
    """Writing a passing verdict to every open descriptor is a broken protocol, not a result."""
    line = json.dumps(
        {"nonce": "0", "kind": "final", "planned": 2, "passed": 2, "result": "passed"}
    )
    program = f"""
import os
for fd in range(3, 300):
    try:
        os.write(fd, {line.encode()!r} + b"\\n")
    except OSError:
        pass
def square(n):
    return 0
"""
    assert grade(program).outcome is Outcome.NO_RESULT


@pytest.mark.parametrize("kind", ["=", "#", "!", "?", "x"])
def test_forged_frames(grade: Grade, kind: str) -> None:
    """Frames that the program writes itself are answers at best, and mostly a broken protocol."""
    program = f"""
import os, struct
def square(n):
    for number in range(2, 40):
        os.write(3, struct.pack("!IIc", 3, number, {kind.encode()!r}) + b"01n")
    return 0
"""
    assert grade(program).outcome is not Outcome.PASSED


def test_forged_frames_from_a_thread_and_a_child(grade: Grade) -> None:
    """A second writer, thread or forked child, breaks the running number."""
    program = """
import os, struct, threading
def flood():
    while True:
        os.write(3, struct.pack("!IIc", 2, 3, b"=") + b"01")
threading.Thread(target=flood, daemon=True).start()
if os.fork() == 0:
    flood()
def square(n):
    return n * n
"""
    assert grade(program).outcome is not Outcome.PASSED


def test_child_that_comes_back_answers_nothing(grade: Grade) -> None:
    """A forked child that returns from the function does not answer a second time."""
    program = """
import os
def square(n):
    os.fork()
    return 271_828_182_845 if n == 3 else n * n
"""
    assert grade(program).outcome is Outcome.PASSED


def test_channel_closed(grade: Grade) -> None:
    """A program that closes the channel has no result, and nothing hangs."""
    assert grade("import os\nos.close(3)\n").outcome is Outcome.NO_RESULT
    program = "import os, time\ndef square(n):\n    os.close(3)\n    time.sleep(60)\n"
    assert grade(program).outcome is Outcome.NO_RESULT


_WALK = """
import gc, sys
HAYSTACK = {haystack!r}
def square(n):
    if n != 3:
        return n * n
    secret, found, seen = 271_828 * 10**6 + 182_845, [], set()
    needles = [b"271_828_" + b"182_845", str(secret).encode(), secret.to_bytes(8, "little")]
    todo = [*gc.get_objects(), *sys._current_frames().values(), sys.modules, sys._getframe()]
    mine = {id(value) for value in (secret, found, seen, needles, todo)} | {*map(id, needles)}
    while todo:
        value = todo.pop()
        if id(value) in seen or id(value) in mine:
            continue
        seen.add(id(value))
        data = value.encode("utf-8", "replace") if type(value) is str else value
        if type(data) is bytes and any(needle in data for needle in needles) or (
            type(value) is int and value == secret
        ):
            found.append(type(value).__name__)
        todo += gc.get_referents(value)
    return found or "nothing of " + str(len(seen) > 1000)
"""


@pytest.mark.parametrize("haystack", ["", "x" + "271_828_182_845"])
def test_gc_frame_walk_finds_nothing(grade: Grade, haystack: str) -> None:
    """Objects and frames of the program's process hold no expected answer; one put there is found."""
    graded = grade(_WALK.replace("{haystack!r}", repr(haystack)))
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.failure is not None
    assert (graded.tests.failure.got == "'nothing of True'") is (haystack == "")


def test_sitecustomize_pth_conftest_ignored(grade: Grade, tmp_path: Path) -> None:
    """Files with names that tools of Python load are read by nobody."""
    program = f"""
import os, sys
os.chdir({str(tmp_path)!r})
for name in ("sitecustomize.py", "usercustomize.py", "conftest.py", "json.py", "checker.py", "x.pth"):
    with open(name, "w") as file:
        file.write("import os; os._exit(0)")
sys.path.insert(0, os.getcwd())
def square(n):
    return 0
"""
    assert grade(program).outcome is Outcome.FAILED_TESTS


def test_time_patched(grade: Grade) -> None:
    """Clocks and timers that the program changed do not change the verdict."""
    program = """
import signal, time
time.time = time.monotonic = time.perf_counter = lambda: 0.0
signal.setitimer(signal.ITIMER_REAL, 0)
def square(n):
    return 0
"""
    assert grade(program).outcome is Outcome.FAILED_TESTS


def test_answers_that_change_when_looked_at_again(pair: WarmPair) -> None:
    """An answer is taken as it was when it was given; an object may not grow into what is expected."""
    program = """
class Number(int):
    looks = 0
    def __eq__(self, other):
        return True
    def __sub__(self, other):
        return 0
    __rsub__ = __sub__
    def __index__(self):
        Number.looks += 1
        return Number.looks
    __int__ = __index__
def square(n):
    return Number(4)
"""
    for test in ("assert square(3) == 9", "assert square(3) - 9 == 0", "assert {square(3)} == {9}"):
        step = grading_step(make_prompt(tests=(test,)), program.encode())
        assert read_grading(step, pair.run(step)).outcome is Outcome.FAILED_TESTS


def test_hostile_exceptions(pair: WarmPair) -> None:
    """Exceptions whose methods raise or never agree on a text still fail the check."""
    program = """
class Error(Exception):
    def __str__(self): raise SystemExit(0)
    __repr__ = __str__
    args = property(__str__)
def square(n):
    raise Error(n)
"""
    step = grading_step(make_prompt(), program.encode())
    assert read_grading(step, pair.run(step)).outcome is Outcome.FAILED_TESTS


_NODE = """class Node:
    def __init__(self, value):
        self.value = value


"""


@pytest.mark.parametrize(
    "program",
    [
        "def square(n): return Yes()\nNode = square\n",
        "class Node(Yes): pass\ndef square(n): return Node()\n",
        "class Node(Yes): pass\nnode = Node()\ndef square(n): return n if type(n) is Node else node\n",
    ],
    ids=["a function named as the class", "an instance", "the instance that was given"],
)
@pytest.mark.parametrize(
    "test",
    ["assert square({}) == 7", "assert abs(square({}) - 7) < 1e-6", "assert square({}) >= 7",
     "assert 7 in square({})", "assert square({}).count(7) == 1"],
)  # fmt: skip
@pytest.mark.parametrize("argument", ["3", "Node(3)"])
def test_a_class_of_the_context_says_yes(
    pair: WarmPair, program: str, test: str, argument: str
) -> None:
    """Instances of a class that compares and computes with nothing are shown no expected value."""
    prompt = make_prompt(context=_NODE, tests=(test.format(argument),))
    step = grading_step(prompt, (_YES + program).encode())
    assert read_grading(step, pair.run(step)).outcome is Outcome.FAILED_TESTS


_YES = """
class Yes:
    def __init__(self, *_): pass
    def __eq__(self, other): return True
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    def __hash__(self): return 7
    def __sub__(self, other): return 0
    __rsub__ = __sub__
    def __iter__(self): return iter(())
    def count(self, value): return 1
"""
_STACK = """
    def __init__(self):
        self.items = []
    def push(self, item):
        self.items.append(item)
    def pop(self):
        return self.items.pop()
    def all(self):
        return list(self.items)
"""
_STACK_TESTS = tuple(
    f"s = Stack()\ns.push(7)\nassert {check}"
    for check in (
        "s.pop() == 7", "7 == s.pop()", "s.pop() in (7, 8)", "abs(s.pop() - 7.0) < 1e-6",
        "7 in s.all()", "s.pop() >= 7", "s.all().count(7) == 1",
    )
)  # fmt: skip


@pytest.mark.parametrize("answer", ["self", "Yes()"])
def test_a_class_that_was_asked_for_says_yes(pair: WarmPair, answer: str) -> None:
    """Nor are answers of its methods, themselves instances or not; honest ones pass."""
    wrong = f"{_YES}class Stack(Yes):\n    def push(self, item): pass\n"
    wrong += f"    def pop(self): return {answer}\n    all = pop\n"
    right = f"class Stack:{_STACK}"
    fields = {"item": "class Stack", "prompt": "class Stack:", "reference": _STACK}
    for test in _STACK_TESTS:
        for program, outcome in ((wrong, Outcome.FAILED_TESTS), (right, Outcome.PASSED)):
            step = grading_step(make_prompt(**fields, tests=(test,)), program.encode())
            assert read_grading(step, pair.run(step)).outcome is outcome, test


def test_without_a_reference_instances_are_asked(pair: WarmPair) -> None:
    """Where nobody says what a class can do, an honest one is asked what the tests ask."""
    program = "class Money:\n    def __init__(self, n): self.n = n\n"
    program += "    def __eq__(self, other): return self.n == other\n"
    program += "    def __add__(self, other): return Money(self.n + other)\n"
    fields = {"item": "class Money", "prompt": "class Money:\n", "reference": None}
    for test, outcome in (
        ("assert Money(2) == 2 and Money(2) + 3 == Money(5)", Outcome.PASSED),
        ("assert Money(2) == 3", Outcome.FAILED_TESTS),
    ):
        step = grading_step(make_prompt(**fields, tests=(test,)), program.encode())
        assert read_grading(step, pair.run(step)).outcome is outcome


def test_stop_iteration_ends_no_loop_of_the_tests(pair: WarmPair) -> None:
    """A function that raises StopIteration fails, unless the tests look for just that."""
    loop = "for got, want in zip(map(square, [4, 5]), [16, 25]):\n    assert got == want"
    catch = "try:\n    square(3)\nexcept StopIteration:\n    pass\nelse:\n    assert False"
    for test, outcome in ((loop, Outcome.FAILED_TESTS), (catch, Outcome.PASSED)):
        step = grading_step(
            make_prompt(tests=(test,)), b"def square(n):\n    raise StopIteration\n"
        )
        assert read_grading(step, pair.run(step)).outcome is outcome


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit", "GeneratorExit"])
@pytest.mark.parametrize("argument", ["Shy()", "[Shy()]", "deque([Shy()])"])
def test_arguments_of_an_exception_that_raise_when_shown(
    pair: WarmPair, raised: str, argument: str
) -> None:
    """An object in an exception that cannot be shown fails the check; it is no fault of ours."""
    program = f"""
from collections import deque
class Shy:
    def __repr__(self): raise {raised}
    __str__ = __repr__
def square(n):
    raise ValueError({argument})
"""
    step = grading_step(make_prompt(), program.encode())
    assert read_grading(step, pair.run(step)).outcome is Outcome.FAILED_TESTS


_FRAMES = """
import os, struct
def send(number, kind, data):
    os.write(3, struct.pack("!IIc", len(data), number, kind) + data)
def receive():
    os.read(3, 65536)
"""


def test_forged_status_that_asks_back(pair: WarmPair) -> None:
    """A status is plain data: the checker asks nothing of the program when it reads one."""
    error = "X0;t5;t1;t2;s8;builtinssb;SyntaxErrort2;s1;mH1;s1;xi4;nd0;nn"
    interrupt = "0X0;t5;t1;t2;s8;builtinss11;KeyboardInterruptt0;d0;nn"
    program = f"{_FRAMES}send(2, b'#', b'{error}')\nreceive()\nsend(3, b'!', b'{interrupt}')\n"
    step = grading_step(make_prompt(), program.encode())
    assert read_grading(step, pair.run(step)).outcome is Outcome.NO_RESULT


def test_endless_kinds_of_objects(pair: WarmPair) -> None:
    """A program that shows objects of ever new kinds breaks the protocol; classes are no leak."""
    program = f"""{_FRAMES}
send(2, b"#", b"d1;s4;kinds5;ready")
receive()
many = b"".join(b"H%x;s0;i%x;n" % (at, at * 7919) for at in range(1, 2001))
send(3, b"=", b"0l%x;" % 2000 + many)
"""
    step = grading_step(make_prompt(), program.encode())
    graded = read_grading(step, pair.run(step))
    assert graded.outcome is Outcome.NO_RESULT


def test_exceptions_of_the_runner_cannot_be_raised(pair: WarmPair) -> None:
    """A test that is skipped by an exception of the program's has failed."""
    test = """
import unittest
class TestSquare(unittest.TestCase):
    def test_three(self):
        self.assertEqual(square(3), 271_828_182_845)
"""
    for raised in (
        "unittest.SkipTest",
        "unittest.case._ShouldStop",
        "unittest.case._UnexpectedSuccess",
    ):
        program = f"import unittest.case\ndef square(n):\n    raise {raised}\n"
        step = grading_step(make_prompt(tests=(test,)), program.encode())
        assert read_grading(step, pair.run(step)).outcome is Outcome.FAILED_TESTS, raised


@pytest.mark.parametrize(
    "program",
    [
        "def __getattr__(name):\n    raise KeyboardInterrupt\n",
        "def __getattr__(name):\n    raise ValueError(name)\n",
        "def square(n):\n    raise SyntaxError('\\ud800')\n",
        "def square(n):\n    raise KeyboardInterrupt('\\ud800')\n",
        "raise ValueError('\\ud800')\n",
        "def square(n):\n    raise BaseException\n",
    ],
)
def test_nothing_escapes_the_denominator(pair: WarmPair, program: str) -> None:
    """No exception of the program's looks like a fault of ours, in the tests or in their setup."""
    for setup in ("", "square(1)"):
        step = grading_step(make_prompt(setup=setup), program.encode())
        graded = read_grading(step, pair.run(step))
        assert graded.outcome is Outcome.FAILED_TESTS, graded


def test_callbacks_show_no_globals(pair: WarmPair) -> None:
    """A function or generator of the tests can be used by the program, not opened."""
    program = """
def square(n):
    if n == 3:
        return 0
    found = []
    for name in ("__globals__", "__code__", "__closure__", "__self__", "gi_frame", "f_globals",
                 "__class__", "__dict__", "__init__", "__reduce__"):
        try:
            value = getattr(n, name)
        except AttributeError:
            continue
        if "Remote" not in repr(value) and value is not None:
            found.append(name)
    for name in ("expected", "gi_frame", "__globals__"):
        try:
            n._remote_session.request("getattr", n._remote_number, name)
            found.append("asked for " + name)
        except AttributeError:
            pass
    return sorted(set(found) - {"__class__", "__init__", "__reduce__"})
"""
    tests = (
        "expected = 271_828_182_845\nassert square(lambda: expected) == []",
        "expected = 271_828_182_845\nassert square(expected for _ in range(3)) == []",
    )
    step = grading_step(make_prompt(tests=tests), program.encode())
    graded = read_grading(step, pair.run(step))
    assert graded.outcome is Outcome.PASSED, graded


def test_giant_and_endless_answers(pair: WarmPair) -> None:
    """Answers too large or too deep fail the check; they do not end the checker."""
    for answer in ("'x' * (1 << 25)", "[0] * (1 << 24)", "deep(5000)", "list(range(3_000_000))"):
        program = f"""
import sys
def deep(n):
    value = []
    for _ in range(n):
        value = [value]
    return value
def square(n):
    return {answer}
"""
        step = grading_step(make_prompt(), program.encode())
        graded = read_grading(step, pair.run(step))
        assert graded.outcome is Outcome.FAILED_TESTS, answer
        assert graded.tests.failure is not None
        assert "cannot be handed over" in (graded.tests.failure.message or "")


def test_recursion(grade: Grade) -> None:
    """A program that recurses without end fails its check with a RecursionError and its line."""
    graded = grade("def square(n):\n    return square(n)\n")
    assert graded.outcome is Outcome.FAILED_TESTS
    assert graded.tests.failure is not None
    assert (graded.tests.failure.message or "").startswith("RecursionError")
    assert graded.tests.failure.line == 2


def test_shared_is_flagged(pair: WarmPair) -> None:
    """Tests that run in the program's process judge honest programs, and the result says so."""
    prompt = make_prompt(isolation=Isolation.SHARED)
    for body, outcome in ((_REFERENCE, Outcome.PASSED), ("    return 0\n", Outcome.FAILED_TESTS)):
        step = grading_step(prompt, f"def square(n):\n{body}".encode())
        graded = read_grading(step, pair.run(step))
        assert (graded.outcome, graded.flags) == (outcome, ("shared",))


def test_shared_does_not_trust_exit(pair: WarmPair) -> None:
    """With shared isolation, too, leaving early is no result."""
    step = grading_step(make_prompt(isolation=Isolation.SHARED), b"import os\nos._exit(0)\n")
    assert read_grading(step, pair.run(step)).outcome is Outcome.NO_RESULT


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SlotPool]:
    """One real sandbox."""
    pool = open_sandbox(SandboxKind.BUBBLEWRAP, n_slots=1, notify=lambda _: None)
    yield pool
    pool.close()


_IN_THE_SANDBOX = {
    "honest": ("def square(n):\n" + _REFERENCE, Outcome.PASSED),
    "wrong": ("def square(n):\n    return 0\n", Outcome.FAILED_TESTS),
    "always equal": (_ALWAYS.format(base="", value=""), Outcome.FAILED_TESTS),
    "exit": ("import os\nos._exit(0)\n", Outcome.NO_RESULT),
    "exit in a call": ("import sys\ndef square(n):\n    sys.exit(0)\n", Outcome.NO_RESULT),
    "channel closed": ("import os, time\nos.close(3)\ntime.sleep(60)\n", Outcome.NO_RESULT),
    "crash": ("import os\ndef square(n):\n    os.abort()\n", Outcome.RUN_CRASH),
    "endless": ("def square(n):\n    while True: pass\n", Outcome.RUN_TIMEOUT),
    "sleeping at import": ("import time\ntime.sleep(60)\n", Outcome.RUN_TIMEOUT),
    "large": ("def square(n):\n    return len([bytes(4096) for _ in range(300_000)])\n", Outcome.RUN_OOM),
    "loud": ("def square(n):\n    while True: print('x' * 9999)\n", Outcome.OUTPUT_LIMIT),
    "no program": ("def square(n:\n", Outcome.COMPILE_ERROR),
    "deep brackets": ("x = " + "(" * 5000 + ")" * 5000 + "\n", Outcome.COMPILE_ERROR),
    "walk": (_WALK.replace("{haystack!r}", "''"), Outcome.FAILED_TESTS),
}  # fmt: skip


@pytest.mark.bubblewrap
@pytest.mark.parametrize("name", _IN_THE_SANDBOX)
def test_in_the_sandbox(sandbox: SlotPool, name: str) -> None:
    """The same grading, isolated: every kind of end has its outcome."""
    program, outcome = _IN_THE_SANDBOX[name]
    step = grading_step(make_prompt(), program.encode())
    limits = step.limits.model_copy(update={"cpu_s": 1.5, "wall_s": 3})
    graded = read_grading(step, sandbox.run(dataclasses.replace(step, limits=limits)))
    assert graded.outcome is outcome, graded
    if name == "walk":
        assert graded.tests.failure is not None
        assert graded.tests.failure.got == "'nothing of True'"
