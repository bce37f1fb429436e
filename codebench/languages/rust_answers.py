"""What a driver says, and what a right program would have said.

A line of a driver holds, with tabs between: its number, the number of its check or test, its kind,
its texts, and a SipHash-2-4 of all that. A line that is not signed, or not the next one, ends what
is believed. Only what was believed up to the last line, `END`, can be a pass.

Values of the program's own types are compared by its own `==`, which may find all equal. So they
must look alike too (`Debug`, where the type has it and the reference's values do), and those that
look different in the reference must look different in the program.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel

from codebench.languages.rust_driver import Check
from codebench.languages.siphash import siphash
from codebench.languages.verdict import CheckFailure
from codebench.prompts.model import Isolation

_MAX_TEXT_CHARS = 200
_MAX_LINE_BYTES = 32_768
"""More than four of a driver's texts, which it cuts at 4096 bytes."""

_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')


class Kind(StrEnum):
    """What a line is about."""

    VALUE = "v"
    """An answer, or whether an `assert!` holds."""

    PAIR = "p"
    """Both sides of a comparison."""

    OWN = "o"
    """Whether a comparison with a type of the program's own holds, the type of the answer, and what
    the two sides look like (empty without `Debug`). Expected: whether, type, the right side's look
    if looks can tell."""

    TEST = "t"
    """The end of a test: `done` or `panicked`."""

    END = "e"


_N_TEXTS = {Kind.VALUE: 1, Kind.PAIR: 2, Kind.OWN: 4, Kind.TEST: 1, Kind.END: 0}


class Line(BaseModel, frozen=True, extra="forbid"):
    """One line, its signature found right and left out."""

    number: int
    """Of the check, or of the test in a line of kind `TEST`."""

    kind: Kind
    texts: tuple[str, ...] = ()


class Expected(BaseModel, frozen=True, extra="forbid"):
    """What a program that passes the tests of one prompt says; made once a prompt and toolchain."""

    isolation: Isolation
    """`shared` where both sides of every comparison come from the program's own process."""

    names: tuple[str, ...]
    """What the tests import from the program; see `Exposure`."""

    lines: tuple[Line, ...] | None
    """None where that is not known: every comparison must hold and no test may panic."""


class Reading(NamedTuple):
    """How far a program's lines are those of a right one."""

    planned: int
    passed: int
    finished: bool
    """Whether the last line arrived."""

    failure: CheckFailure | None
    panicked: bool
    """Whether the test panicked instead of answering."""


def read_lines(answers: bytes, key: tuple[int, int]) -> tuple[Line, ...]:
    """Return the lines up to the first that is not the driver's, or to the last."""
    lines: list[Line] = []
    for raw in answers.split(b"\n")[:-1]:
        signed, _, signature = raw.rpartition(b"\t")
        if len(raw) > _MAX_LINE_BYTES or f"{siphash(key, signed):016x}".encode() != signature:
            break
        try:
            order, number, kind, *texts = signed.decode().split("\t")
            line = Line(number=int(number), kind=Kind(kind), texts=tuple(texts))
        except ValueError:  # signed by a thief of the key
            break
        if order != str(len(lines)) or len(texts) != _N_TEXTS[line.kind]:
            break
        lines.append(line)
        if line.kind is Kind.END:
            break
    return tuple(lines)


def settle(lines: Sequence[Line], checks: Sequence[Check], *, stub: bool) -> tuple[Line, ...]:
    """Return what a program is to answer, from both sides of a trusted one.

    Args:
        lines: What the driver of the trusted program said.
        checks: Its checks.
        stub: Whether the trusted program has no answers, so that the right sides are all there is.
    """
    expected = []
    for line in lines:
        texts = line.texts
        if line.kind is Kind.PAIR:
            own = checks[line.number].own
            kind = Kind.VALUE if own else Kind.PAIR
            expected.append(Line(number=line.number, kind=kind, texts=texts[1:] if own else ()))
        elif line.kind is Kind.OWN:
            kept = texts[:1] if stub else texts[:2]
            if not stub and _looks_right(line, checks):
                kept = (*kept, texts[3])
            expected.append(line.model_copy(update={"texts": kept}))
        else:
            expected.append(line)
    return tuple(expected)


def compare(
    lines: Sequence[Line], expected: Sequence[Line] | None, checks: Sequence[Check]
) -> Reading:
    """Say how far the lines are those of a right program."""
    finished = bool(lines) and lines[-1].kind is Kind.END
    wanted = demand(lines) if expected is None else expected
    checked = {index for index, line in enumerate(wanted) if _counts(wanted, index)}
    looks: tuple[dict[str, str], dict[str, str]] = ({}, {})
    passed = 0
    for index, want in enumerate(wanted):
        got = lines[index] if index < len(lines) else None
        if got is None or not _holds(got, want, checks) or not _looks_apart(got, want, looks):
            panicked = got is not None and got.texts == ("panicked",)
            failure = _failure(got, want, checks)
            return Reading(len(checked), passed, finished, failure, panicked)
        passed += index in checked
    return Reading(len(checked), passed, finished, failure=None, panicked=False)


def demand(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return what a program must have said that gives both sides of every comparison."""
    wanted = []
    for line in lines:
        texts = {Kind.VALUE: ("true",), Kind.OWN: ("true",), Kind.TEST: ("done",)}
        wanted.append(line.model_copy(update={"texts": texts.get(line.kind, ())}))
    return (*wanted, *([] if lines and lines[-1].kind is Kind.END else [_END]))


_END = Line(number=0, kind=Kind.END)


def count_checks(lines: Sequence[Line]) -> int:
    """Return the number of checks that a program which passes answers."""
    return sum(_counts(lines, index) for index in range(len(lines)))


def _counts(lines: Sequence[Line], index: int) -> bool:
    """Whether a line is a check: an answer, or the end of a test that asks for none."""
    if lines[index].kind is Kind.TEST:
        return index == 0 or lines[index - 1].kind is Kind.TEST
    return lines[index].kind is not Kind.END


def _holds(got: Line, want: Line, checks: Sequence[Check]) -> bool:
    if (got.number, got.kind) != (want.number, want.kind):
        return False
    if got.kind is Kind.OWN:
        can_look = len(want.texts) > 2
        return got.texts[:2][: len(want.texts)] == want.texts[:2] and (
            not can_look or _looks_right(got, checks)
        )
    if got.kind in {Kind.TEST, Kind.END}:
        return got.texts == want.texts
    left, right = got.texts if got.kind is Kind.PAIR else (got.texts[0], want.texts[0])
    equal = left == right and "NaN" not in _QUOTED.sub("", left)
    return equal is (checks[got.number].operator != "!=")


def _looks_right(line: Line, checks: Sequence[Check]) -> bool:
    """Whether the two sides look alike, or different where they must differ."""
    left, right = line.texts[2:]
    return bool(right) and (left == right) is (checks[line.number].operator != "!=")


def _looks_apart(got: Line, want: Line, looks: tuple[dict[str, str], dict[str, str]]) -> bool:
    """Whether right sides look alike in the program exactly if they do in the reference.

    Args:
        got: What the program said.
        want: What is expected.
        looks: The looks so far, reference to program and program to reference; a new one is added.
    """
    if got.kind is not Kind.OWN or len(want.texts) < 3:
        return True
    theirs, ours = got.texts[3], want.texts[2]
    return looks[0].setdefault(ours, theirs) == theirs and looks[1].setdefault(theirs, ours) == ours


def _failure(got: Line | None, want: Line, checks: Sequence[Check]) -> CheckFailure:
    about_check = want.kind not in {Kind.TEST, Kind.END}
    check = _bounded(checks[want.number].source) if about_check else "the whole test"
    if got is None or got.number != want.number or got.kind is not want.kind:
        return CheckFailure(check=check)
    if got.kind is Kind.PAIR:
        return CheckFailure(
            check=check, expected=_bounded(got.texts[1]), got=_bounded(got.texts[0])
        )
    if got.kind is Kind.OWN:
        left, right = [_bounded(text) or None for text in got.texts[2:]]
        how = "equal" if checks[want.number].operator == "!=" else "not equal"
        if got.texts[0] == "true":
            how = "not of the type that was asked for"
            if got.texts[1] == want.texts[1]:
                how = "equal by `==` alone, not by what `Debug` shows"
        message = f"the two sides are {how}"
        return CheckFailure(check=check, expected=right, got=left, message=message)
    if got.kind is Kind.TEST:
        return CheckFailure(check=check)
    different = "not " if checks[want.number].operator == "!=" else ""
    return CheckFailure(
        check=check, expected=different + _bounded(want.texts[0]), got=_bounded(got.texts[0])
    )


def _bounded(text: str) -> str:
    return text if len(text) <= _MAX_TEXT_CHARS else text[: _MAX_TEXT_CHARS - 3] + "..."
