"""The prompt room: the built-in sets are sound, and every broken file is named in one line."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from codebench.errors import UsageError
from codebench.prompts import (
    Language,
    Profile,
    Prompt,
    PromptSet,
    list_prompt_sets,
    load_prompt_set,
)

SEED_IDS = (
    "factorial",
    "is_palindrome",
    "reverse_string",
    "point_struct",
    "color_enum",
    "point_impl",
    "find_duplicates",
    "merge_sorted",
    "parse_int",
    "find_max",
    "sum_squares",
    "filter_even",
    "fetch_data",
    "parser_trait",
    "to_string_impl",
    "vec_of_strings",
)
HEADER = """\
schema_version = 1
name = "mine"
version = "3"
language = "rust"
description = "Mine."
"""
PROMPT = """
[[prompts]]
id = "one"
category = "small"
item = "fn one"
prompt = "fn one() -> u8 {"
reference = " 1 }"
wrong = " 2 }"
tests = ["assert_eq!(one(), 1);"]
"""
RUST_TEXT = re.compile(r"//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])'")
SETS = {prompt_set.name: prompt_set for prompt_set in list_prompt_sets()}
RUST_PROMPTS = [p for s in SETS.values() if s.language is Language.RUST for p in s.prompts]
PYTHON_PROMPTS = [p for s in SETS.values() if s.language is Language.PYTHON for p in s.prompts]


def write(folder: Path, text: str) -> Path:
    """Write the text as the file of the set `mine`."""
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | str) -> str:
    """Return the one line that refuses the file."""
    with pytest.raises(UsageError) as caught:
        load_prompt_set(str(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def completions(prompt: Prompt) -> tuple[str, str]:
    """Return the reference and the wrong completion, which every built-in prompt has."""
    assert prompt.reference is not None
    assert prompt.wrong is not None
    return prompt.reference, prompt.wrong


def brace_depths(text: str, depth: int = 0) -> list[int]:
    """Return the depth after each brace outside of strings, characters and comments."""
    depths = []
    for char in RUST_TEXT.sub("", text):
        depth += (char == "{") - (char == "}")
        if char in "{}":
            depths.append(depth)
    return depths


def test_the_built_in_sets_are_listed_by_name() -> None:
    """The three built-in sets load, and each has the size that was promised."""
    assert list(SETS) == sorted(SETS)
    sizes = {name: len(SETS[name].prompts) for name in SETS}
    assert sizes["rust-basics"] == 16
    assert sizes["rust-extended"] >= 48
    assert sizes["python-basics"] >= 32


def test_rust_basics_are_the_sixteen_patterns_in_order() -> None:
    """rust-basics has exactly the patterns of the first benchmark, in its order."""
    prompts = load_prompt_set("rust-basics").prompts
    assert tuple(prompt.id for prompt in prompts) == SEED_IDS
    assert prompts[0].prompt == "fn factorial(n: u64) -> u64 {"
    assert [p.prompt for p in prompts if p.category == "data structures"] == [
        "struct Point {",
        "enum Color {",
        "impl Point {",
    ]


def test_every_category_of_the_extended_set_has_three_prompts() -> None:
    """Each of the fifteen categories of rust-extended has at least three prompts."""
    counts = Counter(prompt.category for prompt in SETS["rust-extended"].prompts)
    assert len(counts) == 15
    assert min(counts.values()) >= 3


def test_a_set_knows_its_language_and_the_hash_of_its_file(tmp_path: Path) -> None:
    """Every prompt has the language of its set, and sha256 is that of the bytes of the file."""
    path = write(tmp_path, HEADER + PROMPT)
    mine = load_prompt_set(str(path))
    assert isinstance(mine, PromptSet)
    assert (mine.name, mine.version, mine.language) == ("mine", "3", Language.RUST)
    assert mine.prompts[0].language is Language.RUST
    assert mine.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_prefix_is_context_newline_prompt(tmp_path: Path) -> None:
    """The prefix is context, a newline and prompt, or prompt alone; text_sha256 is its hash."""
    bare = load_prompt_set(str(write(tmp_path, HEADER + PROMPT))).prompts[0]
    assert bare.prefix == bare.prompt
    path = write(tmp_path, HEADER + PROMPT + 'context = "struct A;"\ncrates = ["rand"]\n')
    prompt = load_prompt_set(str(path)).prompts[0]
    assert prompt.prefix == "struct A;\nfn one() -> u8 {"
    assert prompt.text_sha256 == hashlib.sha256(prompt.prefix.encode()).hexdigest()
    assert prompt.text_sha256 != bare.text_sha256
    assert prompt.crates == ("rand",)


def test_a_prompt_is_frozen() -> None:
    """A loaded prompt cannot be changed."""
    with pytest.raises(ValidationError, match="frozen"):
        RUST_PROMPTS[0].id = "other"  # type: ignore[misc]


@pytest.mark.parametrize("prompt", RUST_PROMPTS, ids=lambda prompt: prompt.id)
def test_rust_prompts_open_one_item_and_completions_close_it(prompt: Prompt) -> None:
    """A Rust prompt ends in an open brace, which the last brace of both completions closes."""
    kind, *names = prompt.item.split()
    assert prompt.prompt.endswith("{")
    assert brace_depths(prompt.prompt)[-1] == 1
    assert all(name in prompt.prompt for name in (kind, *names))
    for completion in completions(prompt):
        depths = brace_depths(completion, depth=1)
        assert completion.endswith("}")
        assert depths[-1] == 0
        assert 0 not in depths[:-1]


@pytest.mark.parametrize("prompt", PYTHON_PROMPTS, ids=lambda prompt: prompt.id)
def test_python_prompts_end_in_a_docstring_and_completions_compile(prompt: Prompt) -> None:
    """A Python prompt ends after its docstring; its programs and tests are valid Python."""
    assert prompt.prompt.endswith('"""\n')
    assert re.search(rf"^{prompt.item}\b", prompt.prompt, re.MULTILINE)
    for completion in completions(prompt):
        assert completion.startswith("    ")
        compile(prompt.prefix + completion, prompt.id, "exec", dont_inherit=True)
    for test in prompt.tests:
        compile(test, prompt.id, "exec", dont_inherit=True)


@pytest.mark.parametrize("prompt", RUST_PROMPTS + PYTHON_PROMPTS, ids=lambda prompt: prompt.id)
def test_every_prompt_has_checks_and_two_different_completions(prompt: Prompt) -> None:
    """A built-in prompt has 3 to 6 different checks, and its wrong completion is another text."""
    assert 3 <= len(set(prompt.tests)) == len(prompt.tests) <= 6
    assert prompt.reference != prompt.wrong


def test_a_prompt_of_the_user_needs_no_reference(tmp_path: Path) -> None:
    """Reference and wrong completion may be left out; what is there instead is None."""
    text = PROMPT.replace('reference = " 1 }"\n', "").replace('wrong = " 2 }"\n', "")
    prompt = load_prompt_set(str(write(tmp_path, HEADER + text))).prompts[0]
    assert (prompt.reference, prompt.wrong) == (None, None)


def test_a_profile_is_for_multipl_e_only(tmp_path: Path) -> None:
    """A set that has no rules of MultiPL-E is not judged by them."""
    for name in ("rust-basics", str(write(tmp_path, HEADER + PROMPT))):
        with pytest.raises(UsageError, match="--profile multipl-e"):
            load_prompt_set(name, profile=Profile.MULTIPL_E)


def test_an_unknown_name_lists_the_known_sets() -> None:
    """An unknown set name is answered with the names that exist."""
    message = refusal("rust-basic")
    assert "'rust-basic'" in message
    assert all(name in message for name in SETS)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (HEADER + "version =\n", ["line 6", "not valid TOML"]),
        (HEADER + 'a = "open', ["line 6", "not valid TOML"]),
        (HEADER, ["the set is empty"]),
        ("prompts = []\n" + HEADER, ["the set is empty"]),
        (HEADER + "prompts = 3\n", ["'prompts'", "[[prompts]]"]),
        ("prompts = [3]\n" + HEADER, ["prompt 1", "[[prompts]]"]),
        (HEADER.replace("= 1", "= 2") + PROMPT, ["schema_version 2", "reads 1"]),
        (HEADER.replace("schema_version = 1\n", "") + PROMPT, ["'schema_version'", "missing"]),
        (HEADER.replace('"rust"', '"cobol"') + PROMPT, ["'language'", "'rust' or 'python'"]),
        (HEADER.replace('"mine"', '"yours"') + PROMPT, ["'name'", "'yours'", "stem"]),
        ("author = 1\n" + HEADER + PROMPT, ["unknown key 'author'"]),
        (HEADER + PROMPT + 'contxt = "x"\n', ["'one'", "key 'contxt'", "mean 'context'"]),
        (HEADER + PROMPT + 'language = "rust"\n', ["'one'", "unknown key 'language'"]),
        (HEADER + PROMPT + 'edition = "2020"\n', ["'one'", "'edition'", "'2021' or '2024'"]),
        (HEADER + PROMPT + 'setup = "x"\n', ["'one'", "'setup'", "'context'"]),
        (HEADER + PROMPT + 'isolation = "none"\n', ["'one'", "'isolation'", "'shared'"]),
        (HEADER + PROMPT.replace('id = "one"\n', ""), ["prompt 1", "'id'", "missing"]),
        (HEADER + PROMPT.replace('"one"', "7"), ["prompt 1", "'id'", "a string"]),
        (HEADER + PROMPT.replace('"one"', '"One-1"'), ["'One-1'", "'id'", "snake_case"]),
        (HEADER + PROMPT.replace('"small"', '" "'), ["'one'", "'category'", "empty"]),
        (HEADER + PROMPT.replace('" 1 }"', "1"), ["'one'", "'reference'", "a string"]),
        (HEADER + PROMPT.replace('["assert_eq!(one(), 1);"]', '"x"'), ["'one'", "'tests'", "list"]),
        (HEADER + PROMPT.replace('["assert_eq!(one(), 1);"]', '["x", 2]'), ["'one'", "'tests[1]'"]),
        (HEADER + PROMPT.replace('"fn one"', '"def one"'), ["'one'", "'item'", "fn NAME"]),
        (HEADER.replace("rust", "python") + PROMPT, ["'one'", "'item'", "def NAME"]),
        (HEADER + PROMPT + PROMPT, ["'one'", "'id'", "twice", "prompt 2"]),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, text: str, named: list[str]) -> None:
    """A file that breaks the format is refused; the line names the file, the prompt and the key."""
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    for words in named:
        assert words in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder, a missing file and a file that is not UTF-8 are each named with what is wrong."""
    assert refusal(tmp_path).startswith(f"{tmp_path}: a folder")
    assert "No such file" in refusal(tmp_path / "missing.toml")
    path = tmp_path / "mine.toml"
    path.write_bytes(HEADER.encode() + b"# \xff\n")
    assert refusal(path) == f"{path}: line 6: not UTF-8 text"


def test_a_built_in_name_wins_over_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder called like a built-in set does not hide the set."""
    (tmp_path / "rust-basics").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_prompt_set("rust-basics") == SETS["rust-basics"]
