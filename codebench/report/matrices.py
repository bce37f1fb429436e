"""The tables over the steps: outcomes, error codes and prompts, cell by cell."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from codebench.report.runs import Run
from codebench.results.parts import PromptResults
from codebench.stats import wilson_interval
from codebench.visible import shortened, visible

_ERROR_INDEX = "https://doc.rust-lang.org/error_codes"
_MAX_CODES = 12
_MAX_CHARS = 160
_SHADES = 10


class Cell(NamedTuple):
    """A cell of a matrix over the steps."""

    run: Run
    n: int
    total: int
    shade: int
    """0 to 10 tenths of the total; -1 without samples."""

    said: str
    """The cell in words."""

    length: float = 0.0
    """Length of the cell's bar, percent of the longest in its table."""


class CodeRow(NamedTuple):
    """An outcome or an error code over the steps."""

    name: str
    link: str | None
    example: str
    compiles: bool
    cells: tuple[Cell, ...]


class PromptRow(NamedTuple):
    """A prompt over the steps."""

    prompt_set: str
    id: str
    title: str
    category: str
    language: str
    cells: tuple[Cell, ...]


def outcome_rows(runs: Sequence[Run]) -> list[CodeRow]:
    """Return the outcomes over the steps, the most frequent first."""
    counts = [run.results.outcomes for run in runs]
    return [
        CodeRow(
            name=visible(name).replace("_", " "),
            link=None,
            example="",
            compiles=name in ("passed", "compiled"),
            cells=_cells(runs, name, counts),
        )
        for name in _by_count(counts)
    ]


def code_rows(runs: Sequence[Run]) -> list[CodeRow]:
    """Return the error codes over the steps, the most frequent first, the rare ones left out."""
    counts = [run.results.error_codes for run in runs]
    return [
        CodeRow(
            name=visible(code),
            link=error_link(code),
            example=_example(runs, code),
            compiles=False,
            cells=_cells(runs, code, counts),
        )
        for code in _by_count(counts)[:_MAX_CODES]
    ]


def n_rare_codes(runs: Sequence[Run]) -> int:
    """Return how many codes `code_rows` leaves out."""
    return max(0, len(_by_count([run.results.error_codes for run in runs])) - _MAX_CODES)


def error_link(code: str) -> str | None:
    """Return where rustc explains an error code; None for what is no code of rustc's."""
    return f"{_ERROR_INDEX}/{code}.html" if re.fullmatch(r"E\d{4}", code) else None


def prompt_rows(runs: Sequence[Run], *, tests: bool) -> list[PromptRow]:
    """Return the prompts over the steps, in the order of their sets.

    Args:
        runs: the columns.
        tests: count samples that passed every test instead of those that compile; prompts without
            tests are left out.
    """
    found: dict[tuple[str, str], dict[str, PromptResults]] = {}
    for run in reversed(runs):
        for prompt in run.results.samples_by_prompt:
            if not tests or prompt.tests:
                found.setdefault((prompt.prompt_set, prompt.id), {})[run.key] = prompt
    return [
        PromptRow(
            prompt_set=visible(name),
            id=visible(prompt_id),
            title=shortened(visible(next(iter(by_run.values())).prompt), _MAX_CHARS),
            category=visible(next(iter(by_run.values())).category),
            language=next(iter(by_run.values())).language,
            cells=tuple(
                _prompt_cell(run, by_run.get(run.key), visible(prompt_id), tests=tests)
                for run in runs
            ),
        )
        for (name, prompt_id), by_run in found.items()
    ]


def _prompt_cell(run: Run, prompt: PromptResults | None, name: str, *, tests: bool) -> Cell:
    verb = "pass" if tests else "compile"
    judged = prompt.judged if prompt else 0
    successes = prompt.compile_success if prompt else 0
    if tests and prompt and prompt.tests:
        successes, judged = prompt.tests.passed, prompt.tests.judged
    bounds = wilson_interval(successes, judged)
    if bounds is None:
        return Cell(run, 0, 0, -1, f"{name} at {run.label}: nothing judged")
    said = (
        f"{name} at {run.label}: {successes} of {judged} {verb}"
        f" (95 % interval {100 * bounds.low:.0f}–{100 * bounds.high:.0f} %)"
    )
    return Cell(run, successes, judged, _shade(successes, judged), said)


def _cells(runs: Sequence[Run], name: str, counts: Sequence[dict[str, int]]) -> tuple[Cell, ...]:
    """Return a row of counts; the bars of a table have one scale."""
    totals = [max(1, run.results.total_samples) for run in runs]
    longest = max(
        max(count.values(), default=0) / n for count, n in zip(counts, totals, strict=True)
    )
    found = (count.get(name, 0) for count in counts)
    return tuple(
        Cell(
            run,
            n,
            total,
            _shade(n, total),
            f"{visible(name)} at {run.label}: {n} of {total} samples",
            100 * n / total / longest if longest else 0.0,
        )
        for run, n, total in zip(runs, found, totals, strict=True)
    )


def _shade(n: int, total: int) -> int:
    """Return 0 for none, 10 for all, 1 to 9 between."""
    if total == 0:
        return -1
    return min(max(round(_SHADES * n / total), int(n > 0)), _SHADES - int(n < total))


def _by_count(counts: Sequence[dict[str, int]]) -> list[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return [name for name, _ in total.most_common()]


def _example(runs: Sequence[Run], code: str) -> str:
    """Return a message with this code, a frequent one of the latest run that tells any."""
    head = f"[{code}]: "
    for run in reversed(runs):
        prompts = (prompt.common_errors for prompt in run.results.samples_by_prompt)
        for message in chain(run.results.compile_errors, *prompts):
            if head in message:
                return shortened(visible(message.partition(head)[2]), _MAX_CHARS)
    return ""
