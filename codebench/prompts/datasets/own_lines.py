r"""Our own format as JSON lines: one prompt a line, with the keys of a [[prompts]] table of TOML.

Required: id, language ("rust" or "python", the same on every line), category, item ("fn NAME",
"def NAME", ...), prompt, tests (a list of statement blocks). Optional: context, reference, wrong,
setup, stop, edition, isolation, crates. An id is any word without spaces.

    {"id": "double", "language": "python", "category": "math", "item": "def double",
     "prompt": "def double(x):\n", "tests": ["assert double(2) == 4"]}     (on one line)
"""

from collections.abc import Sequence

from codebench.errors import UsageError
from codebench.prompts.datasets.imported import Imported
from codebench.prompts.datasets.rows import Row
from codebench.prompts.model import Prompt
from codebench.prompts.validation import checked_prompt


def read_own_lines(rows: Sequence[Row]) -> Imported:
    """Return the lines as prompts.

    Raises:
        UsageError: if a line breaks the format.
    """
    prompts = tuple(map(_prompt, rows))
    first = prompts[0].language
    for row, prompt in zip(rows, prompts, strict=True):
        if prompt.language is not first:
            raise UsageError(
                f"{row.where}: key 'language': is '{prompt.language}', and the file began with"
                f" '{first}': give a file a language"
            )
    return Imported(prompts=prompts)


def _prompt(row: Row) -> Prompt:
    for key, value in row.values.items():
        if isinstance(value, str):
            row.text(key)
    prompt = checked_prompt(row.values, row.where)
    if prompt.id.split() != [prompt.id]:
        row.wrong("id", "must be a word without spaces, as 'merge_sorted'")
    return prompt
