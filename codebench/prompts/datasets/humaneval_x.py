r"""HumanEval-X in Rust: HumanEval, translated by hand.

Keys: task_id ("Rust/0"), prompt (a comment and the head of the function), declaration (imports and
helpers; in some files the head again, or alone), canonical_solution, test (a module of `#[test]`
functions), example_test. 164 tasks. The program is `fn main(){}` + declaration + prompt +
completion + test, built by cargo; every declaration imports the crates rand, regex and md5, so that
plain rustc refuses all of them.

Ours: context is the declaration without its head and without the imports of those crates; that is
noted. A task whose own solution or tests use one of them is left out, and noted. Each `#[test]`
function is one test.

Sources: THUDM/CodeGeeX, `codegeex/benchmark/evaluate_humaneval_x.py` and `rust/Cargo.toml`
(Apache-2.0); Zheng et al. 2023, arXiv:2303.17568.
"""

import re
from collections.abc import Sequence

from codebench.prompts.datasets.imported import Imported
from codebench.prompts.datasets.multipl_e import RUST_WRONG
from codebench.prompts.datasets.rows import Row
from codebench.prompts.datasets.rust_text import (
    Split,
    body,
    code_only,
    function_name,
    items,
    split_open,
)
from codebench.prompts.model import Language, Prompt

_CRATES = ("md5", "rand", "regex")
_IMPORT = re.compile(r"^[ \t]*use[ \t]+(?:::)?(\w+)\b([^;]*);[ \t]*\n?", re.MULTILINE)


def read_humaneval_x(rows: Sequence[Row]) -> Imported:
    """Return the tasks as prompts.

    Raises:
        UsageError: if a row breaks the format, or if every task needs a crate.
    """
    prompts, dropped, left_out = [], 0, []
    for row in rows:
        if not row.text("task_id").startswith("Rust/"):
            row.wrong("task_id", "is no task in Rust ('Rust/0'), which is all that is read")
        prompt = _prompt(row)
        dropped += _without_crates(row.text("declaration")) != row.text("declaration")
        if prompt.crates:
            left_out.append(f"{prompt.id} ({', '.join(prompt.crates)})")
        else:
            prompts.append(prompt)
    if not prompts:
        rows[0].wrong("declaration", "every task needs a crate that is not there")
    notes = []
    if dropped:
        notes.append(
            f"imports of the crates {', '.join(_CRATES)} were dropped from {dropped} of {len(rows)}"
            " tasks: a completion cannot use them"
        )
    if left_out:
        notes.append(
            f"{len(left_out)} of {len(rows)} tasks use a crate that is not there and are left out:"
            f" {', '.join(left_out)}"
        )
    return Imported(prompts=tuple(prompts), notes=tuple(notes))


def _prompt(row: Row) -> Prompt:
    context, text = _head(row)
    name = function_name(split_open(text).open)
    if name is None:
        row.wrong("prompt", "opens no function")
    solution, test = row.text("canonical_solution"), row.text("test")
    tests = rust_tests(test)
    if not tests:
        row.wrong("test", "has no #[test] function")
    imports = row.text("import", default="")
    context = f"{imports}\n{context}" if imports.strip() not in context else context
    used = _crates(context, "\n".join((_without_crates(context), text, solution, test)))
    return Prompt(
        id=row.text("task_id"),
        language=Language.RUST,
        category="humaneval",
        item=f"fn {name}",
        context=_without_crates(context).strip("\n"),
        prompt=text,
        reference=solution,
        wrong=RUST_WRONG,
        tests=tests,
        crates=used,
        raw_tests=test,
    )


def _head(row: Row) -> Split:
    """Return context and prompt; the head is taken from the declaration where only that has it."""
    context, head = split_open(row.text("declaration"))
    text = row.text("prompt")
    return Split(context, text if split_open(text).open else f"{text}{head}")


def _without_crates(context: str) -> str:
    return _IMPORT.sub(lambda found: "" if found[1] in _CRATES else found[0], context)


def _crates(context: str, text: str) -> tuple[str, ...]:
    """Return the crates that `context` imports and `text` uses, by name or by what is imported."""
    words = set(re.findall(r"\w+", code_only(text)))
    return tuple(
        found[1]
        for found in _IMPORT.finditer(context)
        if found[1] in _CRATES
        and words & ({found[1], *re.findall(r"\w+", found[2])} - {"self", "as"})
    )


def rust_tests(text: str) -> tuple[str, ...]:
    """Return the body of each `#[test]` function, with the module's other items before it."""
    inner = body(text, r"\bmod\s+\w+")
    parts = items(text if inner is None else inner)
    bodies = [_body(part) for part in parts if _is_test(part)]
    rest = [part for part in parts if not _is_test(part) and part.strip()]
    shared = "".join(part for part in rest if not re.search(r"\buse\s+super::\*\s*;", part))
    return tuple(f"{shared.strip()}\n{found}".strip("\n") for found in bodies)


def _is_test(item: str) -> bool:
    return "#[test]" in code_only(item).replace(" ", "")


def _body(item: str) -> str:
    found = body(item, r"\bfn\s+\w+")
    assert found is not None, "a whole item has a body"
    return found.strip("\n")
