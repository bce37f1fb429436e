"""Rust text of data sets, cut at its brackets: strings, characters and comments are skipped.

For trusted text only (a model's is read by `item_end`): nested block comments are not known.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

_MARKS = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\b[bc]?r(\#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\[^\n]*?|[^\\'\n])'|"""
    r"[{}()\[\];]",
    re.DOTALL,
)
_FUNCTION = re.compile(r"\bfn[ \t\n]+(\w+)")


class Split(NamedTuple):
    """Text before the item that is left open, and that item; the latter empty if none is."""

    closed: str
    open: str


def _marks(text: str) -> Iterator[tuple[int, str]]:
    for found in _MARKS.finditer(text):
        if len(found[0]) == 1:
            yield found.start(), found[0]


def code_only(text: str) -> str:
    """Return the text with a space for every string, character and comment."""
    return _MARKS.sub(lambda found: found[0] if len(found[0]) == 1 else " ", text)


def items(text: str) -> list[str]:
    """Cut text into its items, each with the space, comments and attributes before it.

    What follows the last whole item comes last: an open item, a comment, or "".
    """
    ends, depth = [0], 0
    for at, mark in _marks(text):
        depth += (mark in "{([") - (mark in "})]")
        if depth <= 0 and mark in "};":
            if ends[-1] and not text[ends[-1] : at].strip():  # the `;` of `use a::{b};`
                ends.pop()
            ends.append(at + 1)
    ends.append(len(text))
    return [text[start:end] for start, end in pairwise(ends)]


def split_open(text: str) -> Split:
    """Split text before the item that it opens and does not close."""
    last = items(text)[-1]
    if "{" not in code_only(last):
        return Split(text, "")
    return Split(text[: len(text) - len(last)], last)


def function_name(item: str) -> str | None:
    """Return the name of the first function in an item."""
    found = _FUNCTION.search(code_only(item))
    return found[1] if found else None


def body(text: str, head: str) -> str | None:
    """Return what stands between the braces after `head`, a pattern; None where it is not."""
    found = re.search(head, text)
    if found is None:
        return None
    start, depth = None, 0
    for at, mark in _marks(text[found.end() :]):
        if mark == "{":
            start = at + 1 if start is None else start
            depth += 1
        elif mark == "}" and start is not None:
            depth -= 1
            if depth == 0:
                return text[found.end() :][start:at]
    return None
