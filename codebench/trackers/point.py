"""What a tracker is given: the numbers of one step under flat names, and the name of their line."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

import orjson

from codebench.results.model import Results
from codebench.results.parts import LanguageResults, RateIntervals

_MAX_ERROR_CODES = 10
_UNFIT = re.compile(r"[^\w./:-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The numbers of one run of codebench, which are one step of a line."""

    run: str
    """The tracker's run: steps with the same name make one line."""

    step: int
    """Training step; 0 where nothing tells it."""

    time_s: float
    """When codebench's run ended, seconds since 1970."""

    metrics: Mapping[str, float]
    """Numbers by name, each name with `codebench/` before it; what is undefined is left out."""


def point_of(results: Results) -> Point:
    """Return the numbers of one run; units are those of results.json."""
    named = {_UNFIT.sub("_", name): value for name, value in _numbers(results).items()}
    return Point(
        run=_line_of(results),
        step=results.step or 0,
        time_s=datetime.fromisoformat(results.timestamp).timestamp(),
        metrics={f"codebench/{k}": float(v) for k, v in named.items() if v is not None},
    )


def _line_of(results: Results) -> str:
    """Return the name that all steps of one training share, if they were measured alike.

    Alike are checkpoints whose paths differ in digits of the last part only, with the same prompts,
    sampling and meaning of the numbers. A run without a step or a path is a line of its own.
    """
    path = results.checkpoint_info.path
    if results.step is None or path is None:
        return results.run_id
    place = PurePath(path)
    alike = {
        "checkpoints": str(place.with_name(re.sub(r"\d+", "N", place.name))),
        "prompts": {one.name: one.sha256 for one in results.prompt_sets},
        "sampling": results.sampling.model_dump(mode="json", exclude={"n_samples"}),
        "metric_version": results.metric_version,
    }
    digest = hashlib.sha256(orjson.dumps(alike, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', place.parent.name) or 'checkpoints'}-{digest}"


def _numbers(results: Results) -> dict[str, float | None]:
    languages = results.languages if len(results.languages) > 1 else {}
    return {
        "compile_success_rate": results.compile_success_rate,
        **_ends("compile_success_rate", results.intervals.compile_success_rate),
        "pass_rate": _pass_rate(results),
        **_at_k("pass_at", results.pass_at_k),
        **_at_k("compile_at", results.compile_at_k),
        "tokens_per_second": results.tokens_per_second,
        "avg_generation_time_ms": results.avg_generation_time_ms,
        "wall_s": results.timing.wall_s,
        "avg_lines": results.avg_lines,
        "avg_functions": results.avg_functions,
        "avg_complexity": results.avg_complexity,
        "warnings_per_sample": results.warnings_per_sample,
        "total_samples": results.total_samples,
        "judged": results.judged,
        **_quality(results),
        **{f"outcome_rate/{name}": _percent(n, results) for name, n in results.outcomes.items()},
        **_error_codes(results),
        **{k: v for name, one in languages.items() for k, v in _language(name, one).items()},
    }


def _quality(results: Results) -> dict[str, float | None]:
    diversity, degeneration = results.diversity, results.degeneration
    similarity, clippy = results.similarity, results.clippy
    return {
        "unique_share": diversity.unique_share,
        "unique_shapes_share": diversity.unique_shapes_share,
        "likeness_in_prompt": diversity.likeness_in_prompt,
        **{f"distinct_{n}": share for n, share in diversity.distinct_n.items()},
        "collapsed": len(degeneration.collapse) > 0,
        "repetition_share": degeneration.repetition_share,
        "repetitive_share": degeneration.repetitive_share,
        "truncated_share": degeneration.truncated_share,
        "empty_share": degeneration.empty_share,
        "broken_share": degeneration.broken_share,
        "most_frequent_share": degeneration.most_frequent_share,
        "ast_similarity": similarity.ast_similarity if similarity else None,
        "word_overlap": similarity.word_overlap if similarity else None,
        "clippy_clean_rate": clippy.clean_rate if clippy else None,
        "lints_per_sample": clippy.lints_per_sample if clippy else None,
    }


def _language(name: str, one: LanguageResults) -> dict[str, float | None]:
    return {
        f"{name}/compile_success_rate": one.compile_success_rate,
        **_ends(f"{name}/compile_success_rate", one.intervals.compile_success_rate),
        **_at_k(f"{name}/pass_at", one.pass_at_k),
    }


def _ends(name: str, intervals: RateIntervals) -> dict[str, float | None]:
    """Return the ends of Wilson's interval, and of the one for prompts in general."""
    wilson, general = intervals.wilson, intervals.clustered
    return {
        f"{name}_low": wilson.low if wilson else None,
        f"{name}_high": wilson.high if wilson else None,
        f"{name}_clustered_low": general.low if general else None,
        f"{name}_clustered_high": general.high if general else None,
    }


def _at_k(name: str, by_k: Mapping[str, float]) -> dict[str, float | None]:
    return {f"{name}_{k}": value for k, value in by_k.items()}


def _pass_rate(results: Results) -> float | None:
    """Return 100 * passed / judged over the prompts with tests; None where nothing was tested."""
    tested = [prompt.tests for prompt in results.samples_by_prompt if prompt.tests]
    judged = sum(tests.judged for tests in tested)
    return 100 * sum(tests.passed for tests in tested) / judged if judged else None


def _error_codes(results: Results) -> dict[str, float | None]:
    """Return the percentage of judged samples that show each of the most frequent codes."""
    most = list(results.error_codes.items())[:_MAX_ERROR_CODES]
    judged = results.judged
    return {f"error_rate/{code}": 100 * n / judged for code, n in most} if judged else {}


def _percent(n: int, results: Results) -> float | None:
    return 100 * n / results.total_samples if results.total_samples else None
