"""Which text is the program: the model's text, joined to its prompt and cut at the item's end.

Covers: continuations of base models, answers of chat models (prose, fences, whole programs), text
that begins by repeating the signature. Nothing here judges or mends code, every pattern is linear
in the text, and no text can raise: a lone surrogate stays in the program (the one who writes the
bytes encodes with "surrogatepass").

Not covered: prose around an answer that has no fence.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from codebench.item_end import ItemScanner
from codebench.prompts.model import Language, Prompt
from codebench.sampling.completion import Completion


class ExtractMode(StrEnum):
    """How completions are read; `--extract`."""

    AUTO = "auto"
    """Continuations, cut at the end of the item."""

    RAW = "raw"
    """Continuations as they came, nothing cut."""

    CHAT = "chat"
    """Answers in Markdown."""


class Extraction(StrEnum):
    """The way a program was cut out of its completion."""

    CONTINUATION_BALANCED = "continuation_balanced"
    """The item's end was seen, and the text was cut there."""

    CONTINUATION_WHOLE = "continuation_whole"
    """The item's end was not seen, and everything was kept."""

    RAW = "raw"
    """Prefix and completion as they came."""

    REPEATED_SIGNATURE = "repeated_signature"
    """The text began with the item's signature again, so it replaces the prompt's."""

    FENCED_LABELLED = "fenced_labelled"
    """A fence labelled with the prompt's language."""

    FENCED_UNLABELLED = "fenced_unlabelled"
    """A fence without a label."""

    UNFENCED_ANSWER = "unfenced_answer"
    """A chat answer without a fence that holds the whole item; kept as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The text that is compiled."""

    text: str
    """May hold lone surrogates; encode it with "surrogatepass"."""

    extraction: Extraction
    language: Language


def extract_program(completion: Completion, mode: ExtractMode) -> Program:
    """Return the program of a completion; every completion has one."""
    prompt = completion.request.prompt
    text, way = _READERS[mode](prompt, completion.text)
    return Program(text=text, extraction=way, language=prompt.language)


def _raw(prompt: Prompt, text: str) -> tuple[str, Extraction]:
    return prompt.prefix + text, Extraction.RAW


def _continuation(prompt: Prompt, text: str) -> tuple[str, Extraction]:
    repeated = _repeated_signature(prompt, text)
    if repeated is not None:
        start = _declaration(prompt, repeated) or 0
        cut = repeated[:start] + _cut(prompt.language, prefix="", text=repeated[start:])[0]
        return _lines(_before_item(prompt, cut), cut), Extraction.REPEATED_SIGNATURE
    cut, closed = _cut(prompt.language, prefix=prompt.prompt, text=text)
    way = Extraction.CONTINUATION_BALANCED if closed else Extraction.CONTINUATION_WHOLE
    return _lines(prompt.prefix + cut), way


def _cut(language: Language, *, prefix: str, text: str) -> tuple[str, bool]:
    end = ItemScanner(language, prefix).feed(text)
    return text[:end], end is not None


def _lines(*parts: str) -> str:
    """Join parts, each ended by a newline; empty parts vanish."""
    return "".join(part if part.endswith("\n") else part + "\n" for part in parts if part)


_RUST_LINE = r"^[ \t]*(?:(?:pub(?:\([^)\n]*\))?|default|async|const|unsafe)[ \t]+)*"
_IMPL = re.compile(_RUST_LINE + r"(impl\b[^{;]{0,400})", re.MULTILINE)


def _declaration(prompt: Prompt, text: str) -> int | None:
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


def _repeated_signature(prompt: Prompt, text: str) -> str | None:
    """Return `text` from the repeated signature on, if it begins with that."""
    head = text.lstrip() if prompt.language is Language.RUST else text.lstrip("\r\n")
    starts = _declaration(prompt, head[:1000]) == 0
    return head if starts or _repeats(prompt.prompt, head) else None


def _repeats(opening: str, text: str) -> bool:
    """Whether `text` begins with all of `opening`, the amount of white space left aside."""
    words, opening_words = text[: 4 * len(opening)].split(), opening.split()
    return bool(opening_words) and words[: len(opening_words)] == opening_words


def _before_item(prompt: Prompt, code: str) -> str:
    """Return what stands before the item in the program when `code` holds the item itself.

    That is the context, less the Rust items that `code` declares again (they would clash), and
    the prompt's text above its signature where `code` begins with the signature itself; a Python
    prompt's imports in any case, unless `code` has them too.
    """
    context = prompt.context
    if prompt.language is Language.RUST:
        context = "".join(part for part in _rust_items(context) if not _redeclared(part, code))
    above = prompt.prompt[: _declaration(prompt, prompt.prompt) or 0]
    if _declaration(prompt, code) != 0:
        above = _missing_imports(above, code) if prompt.language is Language.PYTHON else ""
    return _lines(context if context.strip() else "", above)


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
        cut, _ = _cut(Language.RUST, prefix="", text=text)
        parts.append(cut)
        text = text[len(cut) :]
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


def _answer(prompt: Prompt, text: str) -> tuple[str, Extraction]:
    """Read a chat answer: a labelled fence, else an unlabelled one, else the text itself."""
    fenced = _fenced(prompt, text)
    code, way = fenced if fenced is not None else (text, Extraction.UNFENCED_ANSWER)
    if _declaration(prompt, code) is not None:
        return _lines(_before_item(prompt, code), code), way
    if fenced is None:
        return _continuation(prompt, code)
    prefix = _lines(prompt.prefix)
    return _lines(prefix + _cut(prompt.language, prefix=_lines(prompt.prompt), text=code)[0]), way


_LABELS = {
    Language.RUST: frozenset({"rust", "rs"}),
    Language.PYTHON: frozenset({"python", "py", "python3"}),
}


def _fenced(prompt: Prompt, text: str) -> tuple[str, Extraction] | None:
    """Return the code of the best fence and its kind, or None where there is no fence.

    Of several alike the first that declares the item is taken, else the first. A fence that only
    closes (the prompt opened it) is read by CommonMark as an empty one at the end of the text: then
    the text before it is the code.
    """
    from markdown_it import MarkdownIt

    # Inline text is never looked at, and its rules are the slow ones on hostile text.
    tokens = MarkdownIt("commonmark").disable("inline").parse(text)
    fences = [token for token in tokens if token.type == "fence"]
    filled = [(_label(fence.info), fence.content) for fence in fences if fence.content.strip()]
    for way, labels in (
        (Extraction.FENCED_LABELLED, _LABELS[prompt.language]),
        (Extraction.FENCED_UNLABELLED, frozenset({""})),
    ):
        codes = [content for label, content in filled if label in labels]
        if codes:
            whole = (code for code in codes if _declaration(prompt, code) is not None)
            return next(whole, codes[0]), way
    empty = next((fence for fence in fences if not fence.content.strip()), None)
    if empty is not None and empty.map is not None:
        before = _lines(*re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)[: empty.map[0]])
        return (before, Extraction.FENCED_UNLABELLED) if before.strip() else None
    return None


def _label(info: str) -> str:
    """Return the first word of a fence's info string: `rust,ignore` and `{.rust}` are Rust."""
    return re.split(r"[\s,{}.]+", info.strip().lower().lstrip("{."), maxsplit=1)[0]


_READERS = {
    ExtractMode.AUTO: _continuation,
    ExtractMode.RAW: _raw,
    ExtractMode.CHAT: _answer,
}
