"""A CSV table: one row for each run (`scope` is run) and one for each of its prompts (`prompt`).

Cells that a spreadsheet would run as a formula are made harmless; numbers stay numbers, so that
pandas reads them as such. An undefined number is an empty cell.
"""

import csv
import io
from collections.abc import Sequence

from codebench.export.order import by_step
from codebench.results.model import Results
from codebench.results.parts import PromptResults
from codebench.results.reading import Loaded
from codebench.stats import wilson_interval

Cell = str | int | float | None
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")


def summary_csv(loaded: Sequence[Loaded]) -> bytes:
    """Return the table of some runs, lowest step first; UTF-8, a header, lines that end in LF."""
    runs = by_step(loaded)
    rows = [row for one in runs for row in _rows(one.results)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_harmless(row.get(name)) for name in columns] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _harmless(cell: Cell) -> Cell:
    """Return a cell that no spreadsheet takes for a formula.

    A line end within becomes LF: a lone CR would end the row for some readers.
    Source: OWASP, CSV injection: a quote before what begins with = + - @, tab or a line end.
    """
    if not isinstance(cell, str):
        return cell
    harmless = cell.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
    return f"'{harmless}" if harmless.lstrip(" ").startswith(_FORMULA_STARTS) else harmless


def _rows(results: Results) -> list[dict[str, Cell]]:
    return [_run_row(results), *(_prompt_row(results, p) for p in results.samples_by_prompt)]


def _place(results: Results, scope: str) -> dict[str, Cell]:
    return {
        "run_id": results.run_id,
        "checkpoint": results.checkpoint,
        "step": results.step,
        "timestamp": results.timestamp,
        "scope": scope,
    }


def _run_row(results: Results) -> dict[str, Cell]:
    wilson = results.intervals.compile_success_rate.wilson
    return {
        **_place(results, "run"),
        "prompt_set": " ".join(one.name for one in results.prompt_sets),
        "prompt_id": None,
        "language": " ".join(results.languages),
        "category": None,
        "n_samples": results.total_samples,
        "judged": results.judged,
        "compiled": results.compiled,
        "compile_success_rate": results.compile_success_rate,
        "compile_success_rate_low": wilson.low if wilson else None,
        "compile_success_rate_high": wilson.high if wilson else None,
        **_at_k(results.compile_at_k, results.pass_at_k),
        "avg_lines": results.avg_lines,
        "avg_functions": results.avg_functions,
        "avg_complexity": results.avg_complexity,
        "n_repetitive": results.degeneration.n_repetitive,
        "ast_similarity": results.similarity.ast_similarity if results.similarity else None,
        "most_frequent_error": next(iter(results.compile_errors), None),
        "warnings_per_sample": results.warnings_per_sample,
        "unique_share": results.diversity.unique_share,
        "avg_generation_time_ms": results.avg_generation_time_ms,
        "tokens_per_second": results.tokens_per_second,
        "metric_version": results.metric_version,
        "warnings": " ".join(warning.code for warning in results.warnings) or None,
    }


def _prompt_row(results: Results, prompt: PromptResults) -> dict[str, Cell]:
    bounds = wilson_interval(prompt.compile_success, prompt.judged)
    return {
        **_place(results, "prompt"),
        "prompt_set": prompt.prompt_set,
        "prompt_id": prompt.id,
        "language": prompt.language.value,
        "category": prompt.category,
        "n_samples": prompt.n_samples,
        "judged": prompt.judged,
        "compiled": prompt.compile_success,
        "compile_success_rate": prompt.compile_success_rate,
        "compile_success_rate_low": 100 * bounds.low if bounds else None,
        "compile_success_rate_high": 100 * bounds.high if bounds else None,
        **_at_k(prompt.compile_at_k, prompt.pass_at_k),
        "avg_lines": prompt.avg_lines,
        "avg_functions": prompt.avg_functions,
        "avg_complexity": prompt.avg_complexity,
        "n_repetitive": prompt.n_repetitive,
        "ast_similarity": prompt.similarity.ast_similarity if prompt.similarity else None,
        "most_frequent_error": next(iter(prompt.common_errors), None),
        "metric_version": results.metric_version,
    }


def _at_k(compile_at_k: dict[str, float], pass_at_k: dict[str, float]) -> dict[str, Cell]:
    return {
        **{f"compile_at_{k}": value for k, value in compile_at_k.items()},
        **{f"pass_at_{k}": value for k, value in pass_at_k.items()},
    }
