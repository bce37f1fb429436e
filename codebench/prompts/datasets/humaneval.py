"""HumanEval, and every file in its format.

Keys: task_id ("HumanEval/0"), prompt (imports, helper functions, head and docstring of the
function), entry_point, canonical_solution (the body), test (defines `check(candidate)`).
HumanEval has 164 tasks. The program is prompt + completion; it is right if
`check(entry_point)` returns. Some tests call helpers of the prompt (`poly`, `encode_shift`).

Sources: openai/human-eval, `data/HumanEval.jsonl.gz` and `human_eval/execution.py` (MIT);
Chen et al. 2021, arXiv:2107.03374.
"""

import re
from collections.abc import Sequence

from codebench.prompts.datasets.imported import Imported
from codebench.prompts.datasets.rows import Row
from codebench.prompts.model import Language, Prompt

_WRONG = "    pass\n"


def read_humaneval(rows: Sequence[Row]) -> Imported:
    """Return the tasks as prompts.

    Raises:
        UsageError: if a row breaks the format.
    """
    return Imported(prompts=tuple(map(_prompt, rows)))


def _prompt(row: Row) -> Prompt:
    name = python_entry(row)
    return Prompt(
        id=row.text("task_id"),
        language=Language.PYTHON,
        category="humaneval",
        item=f"def {name}",
        prompt=row.text("prompt"),
        reference=row.text("canonical_solution"),
        wrong=_WRONG,
        tests=(checked(row.text("test"), name),),
    )


def python_entry(row: Row) -> str:
    """Return the function that a row asks for, which its prompt opens.

    Raises:
        UsageError: if the prompt has no such function.
    """
    name = row.text("entry_point")
    if not re.search(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(name)}\b", row.text("prompt"), re.M):
        row.wrong("entry_point", f"the prompt has no function {name!r}")
    return name


def checked(test: str, name: str) -> str:
    """Return the test with its last line, `check(NAME)`, which some files leave to the reader."""
    return test if re.search(r"^check\(", test, re.M) else f"{test.rstrip()}\n\n\ncheck({name})\n"
