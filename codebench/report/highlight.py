"""Code as runs of one colour, in a notation that is a seventh of the HTML that it stands for.

`K2X1F9` says: two characters of a keyword, one plain, nine of a function's name. Lengths are in
UTF-16 units, the unit of JavaScript's strings. The browser makes the elements, when a sample is
looked at, so no program's text is ever parsed as HTML.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby

from pygments.lexer import Lexer  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import (  # type: ignore[import-untyped]
    Comment,
    Keyword,
    Literal,
    Name,
    Number,
    String,
)
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

_CLASSES = (
    (Comment.Preproc, "M"),
    (Comment, "C"),
    (Keyword.Type, "T"),
    (Keyword, "K"),
    (Number, "N"),
    (String, "S"),
    (Literal, "N"),
    (Name.Function.Magic, "M"),
    (Name.Function, "F"),
    (Name.Class, "T"),
    (Name.Builtin.Pseudo, "K"),
    (Name.Builtin, "T"),
    (Name.Decorator, "M"),
    (Name.Attribute, "M"),
    (Name.Exception, "T"),
)
"""The first that fits decides; everything else is X, plain."""

_PLAIN = "X"
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


@cache
def highlighted(text: str, language: str) -> str:
    """Return the runs of a text; an empty string for a language that is not known."""
    lexer = _lexer(language)
    if lexer is None:
        return ""
    runs = (
        (letter, sum(utf16_units(value) for _, value in run))
        for letter, run in groupby(_tokens(lexer, text), key=lambda token: token[0])
    )
    return "".join(f"{letter}{length}" for letter, length in runs)


def _tokens(lexer: Lexer, text: str) -> Iterator[tuple[str, str]]:
    """Yield letter and text; white space takes the colour before it, which makes runs longer."""
    last = _PLAIN
    for _, kind, value in lexer.get_tokens_unprocessed(text):
        if not value.isspace():
            last = next((letter for parent, letter in _CLASSES if kind in parent), _PLAIN)
        yield last, value


def utf16_units(text: str) -> int:
    """Return the length that JavaScript gives the text."""
    return len(text) + len(_ASTRAL.findall(text))


@cache
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language)
    except ClassNotFound:
        return None
