"""Which format a data set's file is in, told by the keys of its first task; and its prompts.

Extra keys do no harm (copies of data sets carry their own); keys that tell two formats apart must
be there, or must not.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from codebench.errors import UsageError
from codebench.prompts.datasets.evalplus import read_evalplus
from codebench.prompts.datasets.humaneval import read_humaneval
from codebench.prompts.datasets.humaneval_x import read_humaneval_x
from codebench.prompts.datasets.humanevalpack import read_humanevalpack
from codebench.prompts.datasets.imported import Imported
from codebench.prompts.datasets.mbpp import read_mbpp
from codebench.prompts.datasets.multipl_e import read_multipl_e
from codebench.prompts.datasets.own_lines import read_own_lines
from codebench.prompts.datasets.rows import Row, read_bytes, read_rows
from codebench.prompts.model import Profile, PromptSet
from codebench.prompts.validation import refuse_duplicates


@dataclass(frozen=True, slots=True)
class Format:
    """One format: the keys that every task has, and the keys that none has."""

    name: str
    keys: frozenset[str]
    without: frozenset[str]
    read: Callable[[Sequence[Row]], Imported]


def _format(
    name: str, keys: str, read: Callable[[Sequence[Row]], Imported], *, without: str = ""
) -> Format:
    return Format(name, frozenset(keys.split()), frozenset(without.split()), read)


def _multipl_e(rows: Sequence[Row]) -> Imported:
    return read_multipl_e(rows, profile=Profile.CODEBENCH)


_SOLVED = "task_id prompt canonical_solution"
FORMATS: Sequence[Format] = (
    _format(
        "HumanEval",
        f"{_SOLVED} entry_point test",
        read_humaneval,
        without="base_input declaration",
    ),
    _format("EvalPlus", f"{_SOLVED} entry_point base_input plus_input", read_evalplus),
    _format("MBPP", "task_id text code test_list", read_mbpp),
    _format("MBPP sanitized", "task_id prompt code test_list", read_mbpp),
    _format("MultiPL-E", "name language prompt tests", _multipl_e),
    _format("HumanEval-X", f"{_SOLVED} declaration test", read_humaneval_x, without="entry_point"),
    _format("HumanEvalPack", f"{_SOLVED} declaration entry_point test", read_humanevalpack),
    _format("codebench", "id item prompt tests", read_own_lines),
)


def recognise(row: Row) -> Format:
    """Return the format of a file's first row.

    Raises:
        UsageError: if its keys are those of no format, or of two.
    """
    keys = {*row.values}
    found = [f for f in FORMATS if f.keys <= keys and not f.without & keys]
    shown = ", ".join(sorted(keys))[:300] or "none"
    if len(found) > 1:
        names = " and ".join(form.name for form in found)
        raise UsageError(f"{row.where}: its keys are those of {names}: found {shown}")
    if not found:
        known = "; ".join(f"{form.name}: {', '.join(sorted(form.keys))}" for form in FORMATS)
        raise UsageError(
            f"{row.where}: its keys are those of no data set: found {shown}; known: {known}"
        )
    return found[0]


def read_data_set(path: Path, *, name: str | None = None, profile: Profile) -> PromptSet:
    """Read a file in any of the formats.

    Args:
        path: JSON lines or a JSON list, plain or gzip.
        name: of the set; None takes the file's, without its endings.
        profile: whose rules judge; other than ours for MultiPL-E only.

    Raises:
        UsageError: if the file breaks its format, or the profile is not for it.
        EnvironmentProblem: if it cannot be read.
    """
    raw = read_bytes(path)
    rows = read_rows(path, raw)
    form = recognise(rows[0])
    if profile is Profile.CODEBENCH:
        imported = form.read(rows)
    elif form.read is _multipl_e:
        imported = read_multipl_e(rows, profile=profile)
    else:
        raise UsageError(f"--profile {profile}: {path} is {form.name}, which has no such rules")
    refuse_duplicates([prompt.id for prompt in imported.prompts], where=str(path), key="task id")
    sha256 = hashlib.sha256(raw).hexdigest()
    return PromptSet(
        name=name or Path(path.name.removesuffix(".gz")).stem,
        version=f"sha256:{sha256[:12]}",
        language=imported.prompts[0].language,
        description=f"A file in the format of {form.name}.",
        prompts=imported.prompts,
        sha256=sha256,
        notes=imported.notes,
    )
