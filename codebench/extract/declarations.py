"""Does a text declare the prompt's item itself, and what then stands before it?"""

import re
from itertools import takewhile

from codebench.item_end import ItemScanner
from codebench.prompts.model import Language, Prompt


def as_lines(*parts: str) -> str:
    """Join parts, each ended by a newline; empty parts vanish."""
    return "".join(part if part.endswith("\n") else part + "\n" for part in parts if part)


_RUST_LINE = r"^[ \t]*(?:(?:pub(?:\([^)\n]*\))?|default|async|const|unsafe)[ \t]+)*"
_IMPL = re.compile(_RUST_LINE + r"(impl\b[^{;]{0,400})", re.MULTILINE)


def declaration(prompt: Prompt, text: str) -> int | None:
    """Return where the line begins that declares the prompt's item in `text`, if there is one."""
    kind, _, name = prompt.item.partition(" ")
    if kind == "impl":
        headers = _IMPL.finditer(text)
        return next((m.start() for m in headers if _impl_item(m[1]) == prompt.item), None)
    if prompt.language is Language.PYTHON:
        pattern = rf"^(?:async[ \t]+)?{kind}[ \t]+{re.escape(name)}\b"
    else:
        pattern = rf"{_RUST_LINE}{kind}[ \t]*!?[ \t]+{re.escape(name)}\b"
    found = re.search(pattern, text, re.MULTILINE)
    return found.start() if found else None


def _impl_item(header: str) -> str:
    """Return `impl Parser for Point` for `impl<T: A> path::Parser<T> for Point<T> where ...`."""
    plain, depth = [], 0
    for part in re.split("([<>])", header.replace("->", "")):
        depth += {"<": 1, ">": -1}.get(part, 0)
        if depth <= 0 and part != ">":
            plain.append(part)
    words = takewhile(lambda word: word != "where", " ".join(plain).split())
    return " ".join(word.rpartition("::")[2] for word in words)


def repeated_signature(prompt: Prompt, text: str) -> str | None:
    """Return `text` from the repeated signature on, if it begins with that."""
    head = text.lstrip() if prompt.language is Language.RUST else text.lstrip("\r\n")
    starts = declaration(prompt, head[:1000]) == 0
    return head if starts or _repeats(prompt.prompt, head) else None


def _repeats(opening: str, text: str) -> bool:
    """Whether `text` begins with all of `opening`, the amount of white space left aside."""
    words, opening_words = text[: 4 * len(opening)].split(), opening.split()
    return bool(opening_words) and words[: len(opening_words)] == opening_words


_FUTURE = re.compile(
    r"^from[ \t]+__future__[ \t]+import[ \t]+(?:\([^)]{0,400}\)|[^(\r\n]+)[^\r\n]*\r?\n?",
    re.MULTILINE,
)


def whole_program(prompt: Prompt, code: str) -> str:
    """Return `code`, which holds the item itself, below what stands before that in the program.

    Its `from __future__` imports come first, as Python wants it.
    """
    above, futures = before_item(prompt, code), []
    if above and prompt.language is Language.PYTHON:
        item = _PYTHON_ITEM.search(code)
        head = code[: item.start() if item else None]
        futures = [line for line in _FUTURE.findall(head) if line.strip() not in above]
        code = _FUTURE.sub("", head) + code[len(head) :]
    return as_lines(*futures, above, code)


def before_item(prompt: Prompt, code: str) -> str:
    """Return what stands before the item in the program when `code` holds the item itself.

    That is the context, less the Rust items that `code` declares again (they would clash), and
    the prompt's text above its signature where `code` begins with the signature itself; a Python
    prompt's imports and helpers in any case, unless `code` has them too.
    """
    context = prompt.context
    if prompt.language is Language.RUST:
        context = "".join(part for part in _rust_items(context) if not _redeclared(part, code))
    above = prompt.prompt[: declaration(prompt, prompt.prompt) or 0]
    if declaration(prompt, code) != 0:
        above = _missing_above(above, code) if prompt.language is Language.PYTHON else ""
    return as_lines(context if context.strip() else "", above)


_PYTHON_ITEM = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)


def _missing_above(text: str, code: str) -> str:
    """Return the imports of `text` that `code` has not, and the items that it does not declare."""
    declared = set(_PYTHON_ITEM.findall(code))
    helpers = []
    for found in _PYTHON_ITEM.finditer(text):
        if found[1] not in declared:
            end = ItemScanner(Language.PYTHON, "").feed(text[found.start() :])
            helpers.append(text[found.start() :][:end].rstrip() + "\n\n\n")
    return as_lines(_missing_imports(text, code), *helpers)


def _missing_imports(text: str, code: str) -> str:
    lines, present = text.splitlines(keepends=True), set(code.split("\n"))
    return "".join(
        line
        for line in lines
        if line.startswith(("import ", "from ")) and line.rstrip() not in present
    )


def _rust_items(text: str) -> list[str]:
    """Cut text into its items, each with the space, comments and attributes before it."""
    parts = []
    while text:
        end = ItemScanner(Language.RUST, "").feed(text)
        parts.append(text[:end])
        text = text[end:] if end is not None else ""
    return parts


_HEADER = re.compile(
    r"^[ \t]*(?:pub(?:\([^)\n]*\))?[ \t]+)?"
    r"(?:(?:default|async|unsafe|extern(?:[ \t]+\"[^\"\n]*\")?)[ \t]+)*"
    r"(?:use\b[^;\n]*|(?:struct|enum|trait|union|impl|type|const|static|fn)\b[^{;(\n]*)",
    re.MULTILINE,
)


def _redeclared(part: str, code: str) -> bool:
    """Whether a line of `code` begins as the item `part` does, `pub` left aside."""
    header = _HEADER.search(part)
    if header is None:
        return False
    wanted = _bare(header[0])
    return any(_bare(other[0]) == wanted for other in _HEADER.finditer(code))


def _bare(header: str) -> list[str]:
    words = header.split()
    return words[1:] if words[0].startswith("pub") else words
