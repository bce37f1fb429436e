"""The code in the fences of a Markdown answer."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from codebench.extract.declarations import as_lines, declaration
from codebench.extract.program import Extraction
from codebench.prompts.model import Language, Prompt

if TYPE_CHECKING:
    from markdown_it.token import Token

_LABELS = {
    Language.RUST: frozenset({"rust", "rs"}),
    Language.PYTHON: frozenset({"python", "py", "python3"}),
}


def best_fence(prompt: Prompt, text: str) -> tuple[str, Extraction] | None:
    """Return the code of the best fence and its kind, or None where there is no fence.

    Of several alike the first that declares the item is taken, else the first. A fence that only
    closes (the prompt opened it) is read by CommonMark as an empty one at the end of the text: then
    the text before it is the code.
    """
    fences = _fences(text)
    filled = [(fence.label, fence.code) for fence in fences if fence.code.strip()]
    inner = [
        fence
        for label, code in filled
        if label in _PAGES
        for fence in _fences(code)
        if fence.closed or label  # the inner fence's end has ended an outer one that says its kind
    ]
    if any(declaration(prompt, fence.code) is not None for fence in inner):
        filled = [(fence.label, fence.code) for fence in inner]
    for way, labels in (
        (Extraction.FENCED_LABELLED, _LABELS[prompt.language]),
        (Extraction.FENCED_UNLABELLED, frozenset({""})),
    ):
        codes = [content for label, content in filled if label in labels]
        if codes:
            whole = (code for code in codes if declaration(prompt, code) is not None)
            return _with_helpers(prompt, next(whole, codes[0]), codes), way
    empty = next((fence for fence in fences if not fence.code.strip()), None)
    if empty is not None:
        before = as_lines(*re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)[: empty.line])
        return (before, Extraction.FENCED_UNLABELLED) if before.strip() else None
    return None


_PAGES = frozenset({"", "markdown", "md"})
"""Labels of fences that may hold an answer with fences of its own."""


class _Fence(NamedTuple):
    label: str
    code: str
    line: int
    """Where it begins, from 0."""

    closed: bool


def _fences(text: str) -> list[_Fence]:
    from markdown_it import MarkdownIt

    # Inline text is never looked at, and its rules are the slow ones on hostile text. A fence below
    # `<div>` is meant as one.
    tokens = MarkdownIt("commonmark").disable(["inline", "html_block"]).parse(text)
    return [
        _Fence(_label(token.info), token.content, token.map[0], _is_closed(token))
        for token in tokens
        if token.type == "fence" and token.map is not None
    ]


def _is_closed(token: "Token") -> bool:
    return token.map is not None and token.map[1] - token.map[0] == token.content.count("\n") + 2


def fences_item(prompt: Prompt, text: str) -> bool:
    """Whether a fence of the text declares the item."""
    return "```" in text and any(
        declaration(prompt, fence.code) is not None for fence in _fences(text)
    )


_NAMED = re.compile(r"^(?:pub[ \t]+)?(?:async[ \t]+)?(?:def|class|fn|struct|enum)[ \t]+(\w+)", re.M)


def _with_helpers(prompt: Prompt, code: str, codes: Sequence[str]) -> str:
    """Return the code below those other fences that declare what it uses and does not declare."""
    if declaration(prompt, code) is None:
        return code
    words, own = set(re.findall(r"\w+", code)), set(_NAMED.findall(code))
    helpers = [c for c in codes if (set(_NAMED.findall(c)) & words) - own]
    return as_lines(*(c for c in helpers if declaration(prompt, c) is None), code)


def _label(info: str) -> str:
    """Return the first word of a fence's info string: `rust,ignore`, `rust:a.rs`, `{.rust}`."""
    return re.split(r"[\s,:{}.]+", info.strip().lower().lstrip("{."), maxsplit=1)[0]
