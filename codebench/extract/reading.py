"""Which text is the program: the model's text, joined to its prompt and cut at the item's end.

Covers: continuations of base models, answers of chat models (prose, fences, whole programs), text
that begins by repeating the signature, with imports or helpers above it. Nothing here judges or
mends code (a body whose first line lost a space stays wrong), every pattern is linear in the text,
and no text can raise: a lone surrogate stays in the program (the one who writes the bytes encodes
with "surrogatepass"). A token like `<|im_end|>` that a server left in the text ends it.

Not covered: helpers after the item in `auto`, where a sample ends with its item.
"""

import re
import textwrap

from codebench.extract.declarations import (
    as_lines,
    declaration,
    repeated_signature,
    whole_program,
)
from codebench.extract.fences import best_fence, fences_item
from codebench.extract.program import Extraction, ExtractMode, Program
from codebench.item_end import ItemScanner
from codebench.prompts.model import Language, Profile, Prompt
from codebench.sampling.completion import Completion


def extract_program(completion: Completion, mode: ExtractMode) -> Program:
    """Return the program of a completion; every completion has one."""
    prompt = completion.request.prompt
    text = completion.text
    if mode is not ExtractMode.RAW:
        text = _END_TOKENS.split(text, maxsplit=1)[0]
    text, way = _READERS[mode](prompt, text)
    return Program(text=text, extraction=way, language=prompt.language)


_END_TOKENS = re.compile(
    r"<\|(?:endoftext|endofmask|end_of_text|end|eot_id|eom_id|im_end|im_start|file_sep)\|>"
)


def _raw(prompt: Prompt, text: str) -> tuple[str, Extraction]:
    return prompt.prefix + text, Extraction.RAW


def _continuation(prompt: Prompt, text: str) -> tuple[str, Extraction]:
    if prompt.profile is Profile.MULTIPL_E:
        ends = [text.find(stop) for stop in prompt.stop if stop in text]
        return prompt.prefix + text[: min(ends, default=len(text))], Extraction.STOPPED
    repeated = repeated_signature(prompt, text) if _opens_item(prompt) else None
    if repeated is not None:
        return _anew(prompt, repeated, declaration(prompt, repeated) or 0)
    cut, closed = _cut(prompt, text)
    if _opens_item(prompt) and _begins_anew(prompt, text, closed=closed):
        if fences_item(prompt, text):
            return _answer(prompt, text)
        start = declaration(prompt, text)
        if start is not None and not text[start].isspace():
            return _anew(prompt, text, start)
    way = Extraction.CONTINUATION_BALANCED if closed else Extraction.CONTINUATION_WHOLE
    return as_lines(prompt.prefix + cut), way


def _anew(prompt: Prompt, text: str, start: int) -> tuple[str, Extraction]:
    """Return the program of a text that declares the item itself, at `start`."""
    end = ItemScanner(prompt.language, "").feed(text[start:])
    code = text if end is None else text[: start + end]
    return whole_program(prompt, code), Extraction.REPEATED_SIGNATURE


def _opens_item(prompt: Prompt) -> bool:
    return prompt.language is Language.RUST or declaration(prompt, prompt.prompt) is not None


_CODE_LINE = re.compile(r"^(?![ \t]*(?:#|\r?$))[ \t]*", re.MULTILINE)


def _begins_anew(prompt: Prompt, text: str, *, closed: bool) -> bool:
    """Whether the text cannot go on with the prompt's item, and so may hold it whole.

    In Python: its first line of code is not indented. In Rust: it leaves the item open.
    """
    if prompt.language is Language.RUST:
        return not closed
    first = _CODE_LINE.search(text)
    return first is not None and not first[0]


def _cut(prompt: Prompt, text: str) -> tuple[str, bool]:
    name = prompt.item.split()[-1]
    end = ItemScanner(prompt.language, prompt.prompt, name=name).feed(text)
    return text[:end], end is not None


def _answer(prompt: Prompt, text: str) -> tuple[str, Extraction]:
    """Read a chat answer: a labelled fence, else an unlabelled one, else the text itself.

    What a model thinks aloud first, up to `</think>`, is not its answer.
    """
    text = text.rpartition("</think>")[2].removeprefix("\ufeff")
    fenced = best_fence(prompt, text)
    code, way = fenced if fenced is not None else (text, Extraction.UNFENCED_ANSWER)
    if declaration(prompt, code) is not None:
        code = code if fenced is not None else _without_prose(prompt, code)
        return whole_program(prompt, code), way
    if fenced is None:
        return _continuation(prompt, code)
    if _is_bare_body(prompt, code):
        code, way = textwrap.indent(code, "    "), Extraction.FENCED_BODY
    prefix = as_lines(prompt.prefix)
    whole = prompt.model_copy(update={"prompt": as_lines(prompt.prompt)})
    return as_lines(prefix + _cut(whole, code)[0]), way


def _is_bare_body(prompt: Prompt, code: str) -> bool:
    """Whether the code is of a Python function and returns at the margin, where none can."""
    is_function = prompt.language is Language.PYTHON and prompt.item.startswith("def ")
    return is_function and re.search(r"^(?:return|yield)\b", code, re.MULTILINE) is not None


_PROSE = re.compile(r"[A-Z]['\w]*,?(?: [-\w'`,]+){2,}[.:!]\s*$")
_CODE = re.compile(
    r"^(?:#|//|@|(?:import|from|async|def|class|use|pub|fn|struct|enum|trait|impl|mod|const|static|"
    r"type|unsafe|extern|macro_rules!)(?=\s))",
    re.MULTILINE,
)


def _without_prose(prompt: Prompt, text: str) -> str:
    """Return an answer without a fence, less the prose that it begins with and what follows."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not _PROSE.fullmatch(first.strip()):
        return text
    found = _CODE.search(text)
    declared = declaration(prompt, text) or 0
    start = min(found.start(), declared) if found is not None else declared
    end = ItemScanner(prompt.language, "").feed(text[declared:])
    return text[start:] if end is None else text[start : declared + end]


_READERS = {
    ExtractMode.AUTO: _continuation,
    ExtractMode.RAW: _raw,
    ExtractMode.CHAT: _answer,
}
