"""The driver: the crate that runs a prompt's tests against a program that was built as `candidate`.

A driver is text of ours. The tests stand in it with their assertions replaced by macros of the
crate `rust_answers.rs`, which send answers out and judge nothing; `Questions` says what they send.
The names that the prompt declares are imported one by one, so that nothing else of the program
reaches the tests; only tests of a macro see all of it, and std's own names win over it there.

An expected side that holds literals and std's names alone is the test's own: its value never enters
the program's process. Any other may depend on the program, so both sides are sent.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from codebench.prompts.model import Prompt


class Questions(StrEnum):
    """What the driver asks a program for."""

    ANSWERS = "answers"
    """The left sides of comparisons, and where they have no value of their own, both."""

    BOTH_SIDES = "both_sides"
    """Both sides of every comparison: of a trusted program, or where nothing else can be done."""

    EXPECTED = "expected"
    """The right sides only: the program's functions have no body yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One assertion in the text of a test."""

    source: str
    """As it stands there, `assert_eq!(f(0), 1)`."""

    operator: str
    """`==`, `!=`, or empty for `assert!`."""

    own: bool
    """Whether the expected side is the test's own; true of `assert!`."""


class Driver(NamedTuple):
    """A driver's text, and what is needed to read what it says."""

    text: str
    key: tuple[int, int]
    checks: tuple[Check, ...]
    """By the number that stands in an answer."""

    tests: tuple[str, ...]
    """As their author wrote them."""

    first_lines: tuple[int, ...]
    """Line of the driver, from 1, at which each test begins."""


_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<literal>[bc]?r(?P<hashes>\#*)".*?"(?P=hashes)|[bc]?"(?:\\.|[^"\\])*"
        |b?'(?:\\u\{[^}]*\}|\\x..|\\.|[^'\\])'|\d\w*(?:\.\d\w*)?)
    |(?P<word>'?[^\W\d]\w*)
    |(?P<mark>::|.)""",
    re.VERBOSE | re.DOTALL,
)
_CAPTURE = re.compile(r'"[^"]*\{[^\W\d]')
_FUNCTION = re.compile(r"\bfn\s+(\w+)")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_OPERATORS = {"assert": "", "assert_eq": "==", "assert_ne": "!="}
_STD_MACROS = (
    "vec matches format panic print println eprint eprintln write writeln dbg concat stringify "
    "todo unreachable unimplemented"
)
_PRIMITIVES = "bool char str f32 f64 i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize"
_PRELUDE = (
    "Option Some None Result Ok Err String Vec Box ToString ToOwned Iterator IntoIterator Extend "
    "DoubleEndedIterator ExactSizeIterator From Into AsRef AsMut Default Clone Copy PartialEq Eq "
    "PartialOrd Ord Drop Fn FnMut FnOnce Send Sized Sync Unpin drop"
)
_OWN_WORDS = frozenset(
    f"{_PRIMITIVES} {_STD_MACROS} Some None Ok Err String Vec Box true false as std core".split()
)
_MACROS = {  # for `assert!`, for a comparison with a right side of its own, for any other
    Questions.ANSWERS: ("truth", "value", "pair"),
    Questions.BOTH_SIDES: ("truth", "pair", "pair"),
    Questions.EXPECTED: ("granted", "expected", "unseen"),
}


class _Token(NamedTuple):
    kind: str
    text: str


class _Invocation(NamedTuple):
    """Where a macro is invoked, in tokens."""

    word: int
    opening: int


def write_driver(
    prompt: Prompt,
    names: Sequence[str],
    questions: Questions,
    *,
    crate: str,
    key: tuple[int, int],
) -> Driver:
    """Return the driver of a prompt's tests.

    Args:
        prompt: The prompt whose tests are asked.
        names: What the prompt declares or imports at the top level; `*` among them is everything.
        questions: What the program is asked for.
        crate: Name of the crate of `rust_answers.rs`, not to be guessed by the program.
        key: Two 64-bit numbers, made anew for every driver; they sign the answers.
    """
    lines = ["#![allow(warnings)]", "mod tests {", *_imports(prompt, names)]
    declared = frozenset([*names, *_FUNCTION.findall(prompt.prefix)])
    checks: list[Check] = []
    first_lines = []
    for number, test in enumerate(prompt.tests):
        lines.append(f"pub fn test_{number}() {{")
        first_lines.append(len(lines) + 1)
        tokens = list(_tokens(test))
        for place, check in _find_checks(tokens, declared):
            truth, own, other = _MACROS[questions]
            macro = truth if not check.operator else own if check.own else other
            arguments = f"{len(checks)}, " + (f"{check.operator}, " if check.operator else "")
            tokens[place.word] = _Token("word", f"::{crate}::{macro}")
            tokens[place.opening] = _Token("mark", tokens[place.opening].text + arguments)
            checks.append(check)
        text = "".join(token.text for token in _with_std_macros(tokens, declared))
        lines += [*text.split("\n"), "}"]
    functions = ", ".join(f"tests::test_{number}" for number in range(len(prompt.tests)))
    lines += ["}", f"fn main() {{ ::{crate}::run(({key[0]}, {key[1]}), &[{functions}]) }}", ""]
    return Driver("\n".join(lines), key, tuple(checks), prompt.tests, tuple(first_lines))


def _imports(prompt: Prompt, names: Sequence[str]) -> Iterator[str]:
    yield "use ::std;"
    if "*" in names or prompt.item.startswith("macro_rules"):
        yield "use ::candidate::*;"
        for root, words in (("std::primitive", _PRIMITIVES), ("std::prelude::v1", _PRELUDE)):
            kept = ", ".join(word for word in words.split() if word not in names)
            yield f"use ::{root}::{{{kept}}};"
    for name in names:
        if name not in {"*", "std"}:
            yield f"use ::candidate::{name};"


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "hashes" else "literal"
        yield _Token(kind or "mark", match.group())


def _find_checks(
    tokens: Sequence[_Token], declared: frozenset[str]
) -> list[tuple[_Invocation, Check]]:
    """Return the assertions of a test, in their order."""
    return [
        (place, _read_check(tokens, place, declared))
        for place in _find_invocations(tokens, frozenset(_OPERATORS) - declared)
    ]


def _with_std_macros(tokens: Sequence[_Token], declared: frozenset[str]) -> list[_Token]:
    """Return the tokens with std's macros named by their paths."""
    named = list(tokens)
    for place in _find_invocations(tokens, frozenset(_STD_MACROS.split()) - declared):
        named[place.word] = _Token("word", f"::std::{tokens[place.word].text}")
    return named


def _find_invocations(tokens: Sequence[_Token], words: frozenset[str]) -> Iterator[_Invocation]:
    """Yield where macros of these names are invoked without a path, `debug_` before them or not."""
    solid = [index for index, token in enumerate(tokens) if token.kind != "space"]
    for before, word, bang, opening in zip(
        [None, *solid], solid, solid[1:], solid[2:], strict=False
    ):
        if (
            tokens[word].text.removeprefix("debug_") in words
            and tokens[bang].text == "!"
            and tokens[opening].text in _CLOSING
            and (before is None or tokens[before].text != "::")
        ):
            yield _Invocation(word, opening)


def _read_check(tokens: Sequence[_Token], place: _Invocation, declared: frozenset[str]) -> Check:
    operator = _OPERATORS[tokens[place.word].text.removeprefix("debug_")]
    arguments: list[list[_Token]] = [[]]
    nesting: list[str] = []
    end = place.opening
    for end in range(place.opening, len(tokens)):
        text = tokens[end].text if tokens[end].kind == "mark" else ""
        if text in _CLOSING:
            nesting.append(_CLOSING[text])
        elif text == "<" and tokens[end - 1].text == "::":
            nesting.append(">")
        elif text == nesting[-1]:
            nesting.pop()
        if not nesting:
            break
        if text == "," and len(nesting) == 1:
            arguments.append([])
        elif end > place.opening:
            arguments[-1].append(tokens[end])
    source = "".join(token.text for token in tokens[place.word : end + 1])
    own = not operator or (len(arguments) > 1 and _is_own(arguments[1], declared))
    return Check(source=source, operator=operator, own=own)


def _is_own(tokens: Sequence[_Token], declared: frozenset[str]) -> bool:
    """Whether an expected side holds nothing that the program could have a say in.

    It stands in a closure that is not called, which neither `.await` nor `?` may do. A string that
    may capture a variable, as in `format!("{name}")`, is not its own.
    """
    solid = [token for token in tokens if token.kind != "space"]
    for before, token in zip([_Token("mark", ""), *solid], solid, strict=False):
        known = token.text in _OWN_WORDS or before.text in {".", "::"}
        if token.kind == "word" and (not known or token.text in declared):
            return False
        if token.text in {"await", "?"} or (
            token.kind == "literal" and _CAPTURE.search(token.text)
        ):
            return False
    return bool(solid)
