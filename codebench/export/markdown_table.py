"""The table of runs that the GitHub summary and a model's README share: one row a run."""

from collections.abc import Sequence

from codebench.export.markdown import code, percent, span, table
from codebench.results.model import Results


def runs_table(runs: Sequence[Results]) -> str:
    """Return the table, with a column of steps and of pass@k only where a run has them."""
    steps = any(results.step is not None for results in runs)
    ks = sorted({int(k) for results in runs for k in results.pass_at_k})
    header = [
        "step" if steps else "checkpoint",
        "compiles",
        "95 % interval",
        *(f"pass@{k}" for k in ks),
        "samples",
        "most frequent error",
    ]
    rows = [_row(results, steps=steps, ks=ks) for results in runs]
    numbers = range(0 if steps else 1, len(header) - 1)
    return table(header, rows, right=list(numbers))


def _row(results: Results, *, steps: bool, ks: Sequence[int]) -> list[str]:
    wilson = results.intervals.compile_success_rate.wilson
    errors = results.compile_errors
    passes = (results.pass_at_k.get(str(k)) for k in ks)
    return [
        str(results.step) if steps and results.step is not None else code(results.checkpoint),
        percent(results.compile_success_rate),
        span(wilson.low, wilson.high) if wilson else "-",
        *("-" if value is None else f"{value:.3f}" for value in passes),
        f"{results.judged}",
        code(errors[0]) if errors else "",
    ]


def how_measured(results: Results) -> str:
    """Return one line: prompts, sampling, compiler, and what the interval speaks about."""
    sets = ", ".join(f"{one.name} {one.version}" for one in results.prompt_sets)
    sampling = results.sampling
    compiler = (results.environment.rustc or "").split(" (")[0].split("\n")[0]
    parts = [
        f"{sum(one.n_prompts for one in results.prompt_sets)} prompts ({sets})",
        f"temperature {sampling.temperature:g}, top-k {sampling.top_k}, top-p {sampling.top_p:g}, "
        f"{sampling.max_tokens} tokens, seed {sampling.seed}",
        *([compiler] if compiler else []),
        "95 % interval for exactly these prompts (Wilson)",
        f"metric version {results.metric_version}",
    ]
    return "; ".join(parts)
