"""Runs test blocks one after the other, up to the first that fails, and says what failed.

The unit that is counted is the block. Of a set whose tests are one single block (HumanEval), the
assert statements of that block are counted instead: a statement holds if it was reached and never
failed, however often a loop runs it. A block that ends has passed, whatever it skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from brief_text import MAX_CHARS, brief, brief_call
from carried_errors import program_line
from check_rewriting import CHECKS, Block, rewrite
from frames import Broken, Gone
from remote_session import Session

_MODULE_NAME = "tests"

Report = dict[str, object]


class _Checks:
    """What the rewritten assert statements of one block call."""

    def __init__(self, block: Block, session: Session | None) -> None:
        self.held: set[int] = set()
        self.hold = self.held.add
        self.failed: dict[int, Report] = {}
        """Failures by the id of the exception that was raised for them, which is kept alive."""

        self._block, self._session = block, session
        self._errors: list[AssertionError] = []

    def fail(self, number: int, left: object, right: object, *message: object) -> None:
        """Note what an assert statement saw, and raise as it does.

        Raises:
            AssertionError: always.
        """
        compared = self._block.compared[number]
        error = AssertionError(*message)
        self._errors.append(error)
        got, expected = (right, left) if compared.swapped() else (left, right)
        symbol = compared.symbol()
        if symbol in {"true", "false"}:
            text = f"a {symbol} value"
        elif symbol == "==":
            text = brief(expected)
        else:
            text = f"{symbol} {brief(expected)}"[:MAX_CHARS]
        self.failed[id(error)] = {
            "check": _one_line(compared.text()),
            "arguments": _last_call(self._session),
            "expected": text,
            "got": brief(got),
            "message": brief(message[0]) if message else None,
            "line": None,
        }
        raise error

    def describe(self, error: BaseException) -> Report:
        """Return what failed, as the fields of a `CheckFailure`; whatever the program does then."""
        found = self.failed.get(id(error))
        if found is not None:
            return found
        try:
            arguments = _last_call(self._session)
        except BaseException:  # noqa: BLE001 - an argument may be the program's object
            arguments = None
        return {
            "check": _one_line(self._statement(error)),
            "arguments": arguments,
            "expected": None,
            "got": None,
            "message": message_of(error),
            "line": program_line(error),
        }

    def _statement(self, error: BaseException) -> str:
        """Return the line of the tests at which an exception came out."""
        line, trace = 1, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._block.code.co_filename:
                line = trace.tb_lineno
            trace = trace.tb_next
        lines = self._block.source.split("\n")
        return lines[min(line, len(lines)) - 1]


def prepare_blocks(sources: Sequence[str], names: Sequence[str], setup: str) -> list[Block]:
    """Return the setup and the test blocks, ready to run.

    Raises:
        SyntaxError: if one of them is no Python.
    """
    tested = frozenset(names)
    blocks = [rewrite(source, at, tested) for at, source in enumerate(sources)]
    return [rewrite(setup, len(blocks), tested), *blocks]


def run_blocks(
    sources: Sequence[str],
    space: dict[str, object],
    names: tuple[str, ...],
    session: Session | None,
    *,
    setup: str,
) -> Report:
    """Run test blocks, each in a copy of `space`.

    Args:
        sources: statements, block by block.
        space: names that the blocks see.
        names: those of them that are tested.
        session: the program's side; None where `space` is the program's own.
        setup: statements that run once before, in `space` itself. What they raise counts as a
            failed check: they may call what is tested.

    Returns:
        result (passed, failed or no_result), planned, passed, and failure unless it passed.

    Raises:
        SyntaxError: if a block is no Python.
    """
    first, *blocks = prepare_blocks(sources, names, setup)
    single = len(blocks) == 1 and blocks[0].n_asserts > 0
    planned = blocks[0].n_asserts if single else len(blocks)
    failure = _run_block(first, _Checks(first, session), space, session)
    if failure is not None:
        return {"planned": planned, "passed": 0, **failure}
    for at, block in enumerate(blocks):
        checks = _Checks(block, session)
        failure = _run_block(block, checks, {**space, "__name__": _MODULE_NAME}, session)
        if failure is not None:
            passed = min(len(checks.held), planned - 1) if single else at
            return {"planned": planned, "passed": passed, **failure}
    return {"planned": planned, "passed": planned, "result": "passed", "failure": None}


def _run_block(
    block: Block, checks: _Checks, space: dict[str, object], session: Session | None
) -> Report | None:
    """Run one block; return None if it passed, else the result and what failed."""
    space[CHECKS] = checks
    if session is not None:
        session.objects.namespace = space
    try:
        exec(block.code, space)  # noqa: S102 - the tests of the prompt
        if "unittest" in sys.modules:
            _run_test_cases(space)
    except (SystemExit, Gone, Broken) as error:
        return {"result": "no_result", "failure": checks.describe(error)}
    except BaseException as error:  # noqa: BLE001 - whatever it is, the check did not hold
        if session is None or session.channel.failure is None:
            return {"result": "failed", "failure": checks.describe(error)}
    failure = None if session is None else session.channel.failure
    if failure is not None:  # a test may have caught it
        return {"result": "no_result", "failure": checks.describe(failure)}
    return None


def _run_test_cases(space: Mapping[str, object]) -> None:
    """Run the methods of the test cases that a block defines; raise what the first to fail does."""
    import unittest

    loader, result = unittest.TestLoader(), unittest.TestResult()
    seen: list[BaseException] = []

    def note(_: object, error: tuple[object, BaseException, object]) -> None:
        seen.append(error[1])
        result.stop()

    def note_part(_: object, __: object, error: tuple[object, BaseException, object]) -> None:
        if error is not None:
            note(_, error)

    def note_reason(_: object, reason: str = "unexpected success") -> None:
        note(_, (None, AssertionError(reason), None))  # a program may raise SkipTest

    vars(result).update(
        addError=note, addFailure=note, addSubTest=note_part, addSkip=note_reason,
        addUnexpectedSuccess=note_reason,
    )  # fmt: skip
    for found in list(space.values()):
        case = isinstance(found, type) and issubclass(found, unittest.TestCase)
        if case and found.__module__ == _MODULE_NAME and not seen:
            loader.loadTestsFromTestCase(found).run(result)  # type: ignore[arg-type]
    if seen:
        raise seen[0]


def _last_call(session: Session | None) -> str | None:
    call = None if session is None else session.last_call()
    return None if call is None else brief_call(*call)


def message_of(error: BaseException) -> str:
    """Return `ValueError: text`, bounded."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - arguments may be the program's, and raise what they like
        text = ""
    name = type(error).__name__
    return (f"{name}: {text}" if text else name)[:MAX_CHARS]


def _one_line(source: str) -> str:
    text = " ".join(source.split())
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 3] + "..."
