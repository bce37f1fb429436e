"""Which text becomes the program, for base models and for chat models."""

import subprocess
import sys

import pytest

from codebench.extract import Extraction, ExtractMode, Program, extract_program
from codebench.prompts.loading import list_prompt_sets
from codebench.prompts.model import Language, Prompt, PromptSet
from codebench.sampling.completion import Completion, FinishReason, SampleRequest


def prompt_of(item: str, text: str, *, context: str = "") -> Prompt:
    """Make a prompt whose language follows from its item."""
    python = item.startswith(("def", "class"))
    return Prompt(
        id="p",
        language=Language.PYTHON if python else Language.RUST,
        category="c",
        item=item,
        context=context,
        prompt=text,
        reference="",
        wrong="",
        tests=(),
    )


SQUARE = prompt_of("fn square", "fn square(n: u64) -> u64 {\n")
POINT_CONTEXT = (
    "/// A point.\n#[derive(Debug)]\npub struct Point {\n    x: u8,\n}\n\n"
    "fn one() -> u8 {\n    1\n}\n"
)
IMPL = prompt_of("impl Point", "impl Point {", context=POINT_CONTEXT)
DERIVED = prompt_of("struct P", "#[derive(Debug)]\nstruct P {\n")
PYTHON = prompt_of("def f", 'import math\n\n\ndef f(x):\n    """Doc."""\n', context="A = 1\n")


def program(prompt: Prompt, text: str, mode: ExtractMode = ExtractMode.AUTO) -> Program:
    """Extract the program of a completion with this text."""
    completion = Completion(
        request=SampleRequest(prompt=prompt, index=0, seed=1),
        text=text,
        finish_reason=FinishReason.EOS,
        n_tokens=1,
        generation_ms=1.0,
    )
    return extract_program(completion, mode)


def answer(prompt: Prompt, text: str) -> Program:
    """Extract the program of a chat answer."""
    return program(prompt, text, ExtractMode.CHAT)


def test_continuation_is_cut_at_the_end_of_the_item() -> None:
    """What the model wrote after the item is not part of the program."""
    found = program(SQUARE, "    n * n\n}\n\nfn main() {\n    oops(")
    assert found.text == SQUARE.prompt + "    n * n\n}\n"
    assert found.extraction is Extraction.CONTINUATION_BALANCED
    assert found.language is Language.RUST


def test_context_stands_before_the_prompt() -> None:
    """Context, newline, prompt, completion."""
    assert program(IMPL, " }").text == POINT_CONTEXT + "\nimpl Point { }\n"


def test_python_continuation_ends_at_the_dedent() -> None:
    """The first line of code at the column of the def is not kept, nor the blank lines above."""
    found = program(PYTHON, "    return x\n\n\nprint(f(1))\n")
    assert found.text == PYTHON.prefix + "    return x\n"
    assert found.extraction is Extraction.CONTINUATION_BALANCED


@pytest.mark.parametrize("text", ["", "    n * (", '    "}', "    if n > 0 { 1 }\n"])
def test_open_item_keeps_everything(text: str) -> None:
    """An item that never closes is kept whole, an empty completion too."""
    found = program(SQUARE, text)
    assert found.extraction is Extraction.CONTINUATION_WHOLE
    assert found.text.rstrip("\n") == (SQUARE.prompt + text).rstrip("\n")
    assert found.text.endswith("\n")


def test_raw_keeps_the_text_as_it_came() -> None:
    """Nothing is cut and nothing is added."""
    found = program(SQUARE, "n }\r\n```", ExtractMode.RAW)
    assert found.text == SQUARE.prompt + "n }\r\n```"
    assert found.extraction is Extraction.RAW


@pytest.mark.parametrize(
    "head",
    [
        "fn square(n: u64) -> u64 {",
        "\n\nfn square(n: u64) -> u64 {",
        "pub fn square(n : u64) -> u64 {",
        "pub(crate) const unsafe fn square (n: u64) -> u64\n{",
    ],
)
def test_repeated_signature_replaces_the_prompt(head: str) -> None:
    """A completion that begins with the signature again is the item itself."""
    found = program(SQUARE, head + "\n    n * n\n}\nfn main() {}\n")
    assert found.text == head.lstrip() + "\n    n * n\n}\n"
    assert found.extraction is Extraction.REPEATED_SIGNATURE


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (SQUARE, "    fn square_of(n: u64) -> u64 { n }\n    square_of(n)\n}"),
        (SQUARE, "    let a = 1; fn square() {}\n}"),
        (SQUARE, "    // fn square(n: u64) -> u64 {\n    n }"),
        (SQUARE, '    "fn square(n: u64)"; n }'),
        (IMPL, " fn point() {} }"),
        (PYTHON, "    def f(x):\n        return x\n    return f\n"),
        (PYTHON, "    def g(x):\n        return x\n    return g\n"),
        (PYTHON, "    return x\ndef f(x):\n    return 2\n"),
    ],
)
def test_other_text_is_no_repeated_signature(prompt: Prompt, text: str) -> None:
    """A longer name, a later or nested function, a comment and a string are continuations."""
    assert program(prompt, text).extraction is not Extraction.REPEATED_SIGNATURE


def test_repeated_signature_keeps_the_attributes_of_the_prompt() -> None:
    """The prompt's text above the signature stays, and is not doubled."""
    once = "#[derive(Debug)]\nstruct P {\n    x: u8 }\n"
    assert program(DERIVED, "struct P {\n    x: u8 }").text == once
    assert program(DERIVED, once + "x").text == once


def test_repeated_python_signature() -> None:
    """The context and the prompt's imports stay, the prompt's own def goes."""
    found = program(PYTHON, "def f(x):\n    return x\n\nf(1)\n")
    assert found.text == "A = 1\nimport math\n\n\ndef f(x):\n    return x\n"
    assert found.extraction is Extraction.REPEATED_SIGNATURE


@pytest.mark.parametrize(
    ("item", "opening", "again"),
    [
        ("impl Stack", "impl<T> Stack<T> {", "impl<T> Stack<T> { }"),
        ("impl Stack", "impl<T> Stack<T> {", "impl<T: Into<u8>> a::Stack<T>\nwhere\n T: Copy { }"),
        ("impl ToString for P", "impl ToString for P {", "impl std::string::ToString for P { }"),
        ("trait Parser", "trait Parser {", "pub trait Parser: Sized { }"),
        ("macro_rules m", "macro_rules! m {", "macro_rules! m { }"),
        ("enum E", "enum E {", "pub enum E<T> { }"),
    ],
)
def test_repeated_signature_of_every_kind(item: str, opening: str, again: str) -> None:
    """Generics, bounds, paths and visibility do not hide a repeated signature."""
    found = program(prompt_of(item, opening), again + " x")
    assert found.text == again + "\n"
    assert found.extraction is Extraction.REPEATED_SIGNATURE


def test_other_impl_is_not_the_item() -> None:
    """An impl of a trait is not the inherent impl that was asked for."""
    assert program(IMPL, "impl Clone for Point {}").extraction is Extraction.CONTINUATION_WHOLE


WHOLE = "fn helper() {}\n\nfn square(n: u64) -> u64 {\n    n * n\n}\n\nfn more() {}\n"


@pytest.mark.parametrize(
    ("text", "way"),
    [
        (f"Sure:\n\n```rust\n{WHOLE}```\nDone.", Extraction.FENCED_LABELLED),
        (f"```rs\n{WHOLE}", Extraction.FENCED_LABELLED),
        (f"~~~ Rust,ignore\n{WHOLE}~~~", Extraction.FENCED_LABELLED),
        (f"````rust\n{WHOLE}````", Extraction.FENCED_LABELLED),
        (f"```\nold\n```\n\n```rust\n{WHOLE}```", Extraction.FENCED_LABELLED),
        (f"```rust\nfn a() {{}}\n```\n```rust\n{WHOLE}```", Extraction.FENCED_LABELLED),
        (f"```toml\n[a]\n```\n```\n{WHOLE}```", Extraction.FENCED_UNLABELLED),
        (f"{WHOLE}```\n", Extraction.FENCED_UNLABELLED),
        (WHOLE, Extraction.UNFENCED_ANSWER),
    ],
)
def test_whole_answer_is_kept_whole(text: str, way: Extraction) -> None:
    """An answer that holds the item is the program, its helper functions included."""
    found = answer(SQUARE, text)
    assert found.text == WHOLE
    assert found.extraction is way


def test_crlf_fence() -> None:
    """CommonMark's line ends are those of every system."""
    text = f"```rust\n{WHOLE}```\n".replace("\n", "\r\n")
    assert answer(SQUARE, text).text == WHOLE


def test_fenced_continuation_joins_the_prompt() -> None:
    """A fence that holds only the body goes on where the prompt ended."""
    found = answer(PYTHON, "Here:\n```python\n    return x\n\nprint(1)\n```\n")
    assert found.text == PYTHON.prefix + "    return x\n"
    assert found.extraction is Extraction.FENCED_LABELLED


def test_unfenced_continuation() -> None:
    """A chat answer without a fence and without the item is read as a continuation."""
    found = answer(SQUARE, "    n * n\n}\nThis squares n.")
    assert found.text == SQUARE.prompt + "    n * n\n}\n"
    assert found.extraction is Extraction.CONTINUATION_BALANCED


def test_answer_replaces_the_context_that_it_declares_again() -> None:
    """The struct of the answer takes the place of the context's; the function stays."""
    code = "struct Point {\n    x: u8,\n    y: u8,\n}\n\nimpl Point {}\n"
    found = answer(IMPL, f"```rust\n{code}```")
    assert found.text == "\n\nfn one() -> u8 {\n    1\n}\n" + code


def test_python_answer_keeps_the_imports_of_the_prompt() -> None:
    """Imports that the prompt showed need not be repeated by the answer."""
    code = "def g():\n    pass\n\ndef f(x):\n    return math.sqrt(x)\n"
    assert answer(PYTHON, f"```py\n{code}```").text == "A = 1\nimport math\n" + code


def test_imports_are_not_doubled() -> None:
    """An import of the prompt that the answer has too stands there once."""
    code = "import math\n\ndef f(x):\n    return math.sqrt(x)\n"
    assert answer(PYTHON, f"```py\n{code}```").text == "A = 1\n" + code


def test_attributes_of_the_prompt_do_not_meet_those_of_the_answer() -> None:
    """A derive in the prompt is not added to an answer that brings its own."""
    code = "#[derive(Debug, Clone)]\nstruct P {}\n"
    assert answer(DERIVED, f"```rust\n{code}```").text == code


@pytest.mark.parametrize("mode", list(ExtractMode))
@pytest.mark.parametrize("prompt", [SQUARE, IMPL, DERIVED, PYTHON])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "```",
        "```\n```",
        "```rust",
        "\ud800 }",
        "```rust\n\udfff\n```",
        "\x00}",
        "\r\n}\r\n",
        ">" * 20_000,
        "[" * 20_000,
        "`" * 20_000,
        "impl<> A<> " * 2_000,
        "pub(" * 5_000,
        "* " * 10_000,
    ],
)
def test_every_text_gives_a_program(mode: ExtractMode, prompt: Prompt, text: str) -> None:
    """Empty, odd and hostile text never raises, and its bytes can be written."""
    found = program(prompt, text, mode)
    assert found.text.encode("utf-8", "surrogatepass")


AFTER = {
    Language.RUST: "\nfn after() {}\n",
    Language.PYTHON: "\n\ndef after():\n    pass\n",
}


@pytest.mark.parametrize("prompt_set", list_prompt_sets(), ids=lambda prompt_set: prompt_set.name)
def test_references_of_the_prompt_sets_are_cut_right(prompt_set: PromptSet) -> None:
    """Each reference is kept to its last character and no further: continued, repeated, fenced."""
    for prompt in prompt_set.prompts:
        whole = prompt.prefix + prompt.reference.rstrip()
        again = prompt.prompt + prompt.reference.rstrip() + "\n"
        after = AFTER[prompt_set.language]
        continued = program(prompt, prompt.reference.rstrip() + "\n" + after)
        assert continued.text.rstrip() == whole, prompt.id
        assert continued.extraction is Extraction.CONTINUATION_BALANCED
        repeated = program(prompt, again + after)
        assert repeated.text.split() == whole.split(), prompt.id
        assert repeated.extraction is Extraction.REPEATED_SIGNATURE
        fenced = answer(prompt, f"Like this:\n```{prompt.language}\n{again}```\n")
        assert fenced.text.split() == whole.split(), prompt.id


def test_lone_surrogate_stays() -> None:
    """Half a surrogate pair is part of what the model wrote."""
    assert program(SQUARE, "'\ud800' }").text == SQUARE.prompt + "'\ud800' }\n"


def test_import_is_light() -> None:
    """The Markdown parser is loaded by the first chat answer, not by the import."""
    code = "import sys, codebench.extract; sys.exit('markdown_it' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
