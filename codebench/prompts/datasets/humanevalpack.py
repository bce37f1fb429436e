"""HumanEvalPack (HumanEvalSynthesize) in Rust and Python.

HumanEval-X with more keys: entry_point, import, test_setup, buggy_solution, bug_type,
failure_symptoms, signature, docstring, instruction. 164 tasks a language, "Rust/0" and "Python/0".
Rust is read as HumanEval-X is (`humaneval_x.py`), Python as HumanEval is; the prompt is the
function's head with its docstring. Fixing and explaining, its other two uses, are not covered.

Sources: bigcode/humanevalpack (MIT); bigcode-evaluation-harness,
`bigcode_eval/tasks/humanevalpack.py`; Muennighoff et al. 2023, arXiv:2308.07124.
"""

from collections.abc import Sequence

from codebench.prompts.datasets.humaneval import checked, python_entry
from codebench.prompts.datasets.humaneval_x import read_humaneval_x
from codebench.prompts.datasets.imported import Imported
from codebench.prompts.datasets.rows import Row
from codebench.prompts.model import Language, Prompt


def read_humanevalpack(rows: Sequence[Row]) -> Imported:
    """Return the tasks as prompts.

    Raises:
        UsageError: if a row breaks the format or is of another language.
    """
    language = rows[0].text("task_id").partition("/")[0]
    if language == "Rust":
        return read_humaneval_x(rows)
    if language != "Python":
        rows[0].wrong("task_id", "is no task in Rust ('Rust/0') or Python ('Python/0')")
    return Imported(prompts=tuple(map(_prompt, rows)))


def _prompt(row: Row) -> Prompt:
    task_id, text = row.text("task_id"), row.text("prompt")
    if not task_id.startswith("Python/"):
        row.wrong("task_id", "the file began with tasks in Python ('Python/0')")
    name = python_entry(row)
    imports = row.text("import", default="").strip()
    return Prompt(
        id=task_id,
        language=Language.PYTHON,
        category="humaneval",
        item=f"def {name}",
        context="" if imports in text else imports,
        prompt=text,
        reference=row.text("canonical_solution"),
        wrong="    pass\n",
        tests=(checked(row.text("test"), name),),
        setup=row.text("test_setup", default=""),
    )
