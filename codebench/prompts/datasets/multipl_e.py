r"""MultiPL-E in Rust: HumanEval and MBPP, translated by a small compiler.

Keys: name ("HumanEval_0_has_close_elements"), language ("rs"), prompt (comment and head of the
function), doctests, original, prompt_terminology, tests, stop_tokens. `tests` closes the function
and holds `main`: "}\n\nfn main() {\n    let candidate = f;\n    assert_eq!(...);\n}\n". There
are no reference solutions. humaneval-rs has 156 tasks.

Ours: the body of `main` is the test, the completion ends with its item, edition 2021. With
`--profile multipl-e` a prompt carries MultiPL-E's rules: its stop tokens (`\n}`, which cuts at any
brace in the first column), edition 2015 (plain `rustc`), and `raw_tests` for its program, which is
prompt + completion without the stop + newline + tests.

Sources: nuprl/MultiPL-E, `evaluation/src/eval_rust.py`, `dataset_builder/humaneval_to_rs.py`
(BSD-3 with a clause on training; the data is MIT); Cassano et al. 2022, arXiv:2208.08227.
"""

from collections.abc import Sequence

from codebench.prompts.datasets.imported import Imported
from codebench.prompts.datasets.rows import Row
from codebench.prompts.datasets.rust_text import body, function_name, split_open
from codebench.prompts.model import Language, Profile, Prompt

RUST_WRONG = "\n    unimplemented!()\n}\n"
"""A completion that compiles for every return type and answers nothing."""


def read_multipl_e(rows: Sequence[Row], *, profile: Profile) -> Imported:
    """Return the tasks as prompts.

    Raises:
        UsageError: if a row breaks the format or is of another language than Rust.
    """
    return Imported(prompts=tuple(_prompt(row, profile) for row in rows))


def _prompt(row: Row, profile: Profile) -> Prompt:
    language = row.text("language")
    if language != "rs":
        row.wrong("language", f"is {language!r}: of MultiPL-E only Rust ('rs') is read")
    text, tests = row.text("prompt"), row.text("tests")
    name = function_name(split_open(text).open)
    if name is None:
        row.wrong("prompt", "opens no function")
    main = body(tests.lstrip().removeprefix("}"), r"\bfn\s+main\s*\(\s*\)")
    if main is None:
        row.wrong("tests", "has no 'fn main() { ... }'")
    task = row.text("name")
    prompt = Prompt(
        id=task,
        language=Language.RUST,
        category="mbpp" if task.lower().startswith("mbpp") else "humaneval",
        item=f"fn {name}",
        prompt=text,
        wrong=RUST_WRONG,
        tests=(main.strip("\n"),),
        raw_tests=tests,
    )
    if profile is Profile.CODEBENCH:
        return prompt
    rules = {"stop": row.texts("stop_tokens"), "edition": "2015", "profile": profile}
    return prompt.model_copy(update=rules)
