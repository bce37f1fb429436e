'''MBPP, full and sanitized: short Python tasks, each with three tests.

Full (`mbpp.jsonl`, 974 rows): task_id (a number), text, code, test_list, test_setup_code,
challenge_test_list (not used here, nor by others). Sanitized (`sanitized-mbpp.json`, one list of
427): source_file, task_id, prompt (what `text` is there), code, test_imports, test_list. Tasks 11
to 510 are the test split, the rest is for prompting and training: of the two published files the
test split is measured (500 and 257 tasks), of any other file everything.

The prompt is a docstring of the text and the first test, as InCoder and bigcode's harness have it
for base models: """TEXT / TEST""". It opens no item: a completion is a whole program that defines
the function which the tests call. Tests that use another item of the program too (a class that they
make nodes of) cannot be asked through calls alone: those tasks are `isolation = "shared"`.

Sources: google-research/google-research, `mbpp/README.md` (CC-BY-4.0); Austin et al. 2021,
arXiv:2108.07732; bigcode-evaluation-harness, `bigcode_eval/tasks/mbpp.py`.
'''

import ast
import re
from collections.abc import Iterator, Sequence

from codebench.prompts.datasets.imported import Imported
from codebench.prompts.datasets.rows import Row
from codebench.prompts.model import Isolation, Language, Prompt

_TEST_SPLIT = range(11, 511)
_PUBLISHED_SIZES = (974, 427)


def read_mbpp(rows: Sequence[Row]) -> Imported:
    """Return the tasks as prompts.

    Raises:
        UsageError: if a row breaks the format.
    """
    kept = [row for row in rows if _number(row) in _TEST_SPLIT]
    if len(rows) not in _PUBLISHED_SIZES or not kept:
        return Imported(prompts=tuple(map(_prompt, rows)))
    note = f"of the {len(rows)} tasks of the file the {len(kept)} of the test split are measured"
    return Imported(prompts=tuple(map(_prompt, kept)), notes=(note,))


def _number(row: Row) -> int:
    value = row.get("task_id")
    if isinstance(value, bool) or not isinstance(value, int):
        row.wrong("task_id", "must be a whole number")
    return value


def _prompt(row: Row) -> Prompt:
    text = row.text("text" if "text" in row.values else "prompt").strip()
    code, tests = _newlines(row.text("code")), tuple(map(_newlines, row.texts("test_list")))
    if not tests:
        row.wrong("test_list", "is empty")
    setup = "\n".join(filter(None, (*row.texts("test_imports", optional=True), _setup_code(row))))
    used = list(dict.fromkeys(_used(row, code, (*tests, setup))))
    if not used:
        row.wrong("test_list", "calls nothing that 'code' defines")
    called, is_shared = used[0], len(used) > 1
    return Prompt(
        id=str(_number(row)),
        language=Language.PYTHON,
        category="mbpp",
        item=f"def {called}",
        prompt=f'"""\n{text}\n{tests[0]}\n"""\n',
        reference=code.rstrip() + "\n",
        wrong=f"def {called}(*arguments):\n    pass\n",
        tests=tests,
        setup=setup,
        isolation=Isolation.SHARED if is_shared else Isolation.SEPARATE,
    )


def _setup_code(row: Row) -> str:
    return _newlines(row.text("test_setup_code", default=""))


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _used(row: Row, code: str, texts: Sequence[str]) -> Iterator[str]:
    """Yield the names of `code` that the tests use, functions that they call first."""
    defined = set(re.findall(r"^(?:def|class)[ \t]+(\w+)", code, re.MULTILINE))
    trees = [_tree(row, text) for text in texts]
    names = [node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)]
    functions = set(re.findall(r"^def[ \t]+(\w+)", code, re.MULTILINE))
    yield from (name for name in names if name in functions)
    yield from (name for name in names if name in defined)


def _tree(row: Row, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError) as error:
        row.wrong("test_list", f"is not Python: {getattr(error, 'msg', error)}")
