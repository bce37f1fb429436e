"""What a run shows on stderr at its end: the results as a table, and where the time went."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codebench.plan import Plan
from codebench.prompts.model import PromptSet
from codebench.results.model import Results
from codebench.results.parts import PromptResults, Tests, Timing
from codebench.run_config import RunConfig
from codebench.sandbox.execution import SandboxInfo
from codebench.source import Source

_SHOWN_ERRORS = 5
_MOST_PROMPTS = 40


def print_results(results: Results, run_dir: Path) -> None:
    """Print the table to stderr. Every text of the model's is shown as plain text."""
    console = Console(stderr=True)
    console.print(_prompts_table(results))
    for line in _summary(results):
        console.print(Text(line), soft_wrap=True)
    for warning in results.warnings:
        console.print(Text(f"warning: {warning.message}", style="yellow"), soft_wrap=True)
    console.print(Text(f"samples: {run_dir}/samples.jsonl"), soft_wrap=True)


def _prompts_table(results: Results) -> Table:
    title = f"Benchmark Results: {results.checkpoint}"
    shown = results.samples_by_prompt
    if len(shown) > _MOST_PROMPTS:
        shown = tuple(sorted(shown, key=_rates)[:_MOST_PROMPTS])
        title += f" ({_MOST_PROMPTS} lowest of {len(results.samples_by_prompt)} prompts)"
    table = Table(title=Text(title), title_justify="left", expand=True)
    table.add_column("prompt", no_wrap=True)
    table.add_column("compiled", justify="right", no_wrap=True)
    table.add_column("rate", justify="right", no_wrap=True)
    if results.tests is not None:
        table.add_column("passed", justify="right", no_wrap=True)
    table.add_column("most frequent error", overflow="ellipsis", no_wrap=True, ratio=1)
    for prompt in shown:
        rate, tests = prompt.compile_success_rate, prompt.tests
        cells: list[str | Text] = [
            Text(prompt.id),
            f"{prompt.compile_success}/{prompt.judged}",
            "-" if rate is None else f"{rate:.0f} %",
        ]
        if results.tests is not None:
            cells.append("-" if tests is None else f"{tests.passed}/{tests.judged}")
        table.add_row(*cells, Text(prompt.common_errors[0] if prompt.common_errors else ""))
    return table


def _rates(prompt: PromptResults) -> tuple[float, float]:
    passed = prompt.tests.pass_rate if prompt.tests is not None else None
    return passed or 0.0, prompt.compile_success_rate or 0.0


def _tested(results: Results, tests: Tests) -> str:
    interval = results.intervals.pass_rate
    wilson = interval.wilson if interval is not None else None
    parts = [f"{tests.passed}/{tests.judged} pass"]
    if results.pass_rate is not None and wilson is not None:
        parts[0] += f" ({results.pass_rate:.1f} %)"
        parts.append(f"95 % interval {wilson.low:.1f} to {wilson.high:.1f} for these prompts")
    parts += [f"pass@{k} {value:.3f}" for k, value in results.pass_at_k.items()]
    if tests.n_shared:
        parts.append(f"{tests.n_shared} tested in their own process (weaker evidence)")
    return ", ".join(parts)


def _summary(results: Results) -> list[str]:
    lines = []
    rate, wilson = results.compile_success_rate, results.intervals.compile_success_rate.wilson
    if rate is not None and wilson is not None:
        lines.append(
            f"Compilation: {results.compiled}/{results.judged} ({rate:.1f} %), "
            f"95 % interval {wilson.low:.1f} to {wilson.high:.1f} for these prompts"
        )
    if results.tests is not None:
        lines.append(f"Tests: {_tested(results, results.tests)}")
    outcomes = ", ".join(f"{name} {count}" for name, count in results.outcomes.items())
    lines.append(f"Outcomes: {outcomes or 'none'}")
    lines.append(
        f"Code: {_number(results.avg_lines)} lines, {_number(results.avg_functions)} functions, "
        f"complexity {_number(results.avg_complexity)} per sample; "
        f"{results.diversity.unique_programs} distinct programs"
    )
    errors = list(results.error_codes.items())[:_SHOWN_ERRORS]
    if errors:
        lines.append("Errors: " + ", ".join(f"{code} in {n}" for code, n in errors))
    timing = results.timing
    lines.append(
        f"Time: {timing.wall_s:.1f} s = start-up {timing.startup_s:.1f} + sampling "
        f"{timing.sampling_s:.1f} + rest {timing.other_s:.1f}; compiling "
        f"{timing.compiling_s:.1f} and testing {_number(timing.testing_s)} beside it"
    )
    if timing.decode_tokens_per_second is not None:
        lines.append(f"Sampling: {_sampling(timing)}")
    return lines


def _sampling(timing: Timing) -> str:
    parts = [
        f"prefill {_number(timing.prefill_tokens_per_second)} tokens/s",
        f"decode {_number(timing.decode_tokens_per_second)} tokens/s",
    ]
    if timing.bound_share is not None:
        parts.append(f"{100 * timing.bound_share:.1f} % of the machine's bound")
    if timing.rows_occupied_share is not None:
        parts.append(f"rows occupied {100 * timing.rows_occupied_share:.0f} %")
    if timing.wasted_share is not None:
        parts.append(f"{100 * timing.wasted_share:.1f} % of tokens wasted")
    return ", ".join(parts)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def plan_table(
    config: RunConfig,
    source: Source,
    prompt_sets: tuple[PromptSet, ...],
    plan: Plan,
    sandbox: SandboxInfo,
) -> str:
    """Return what a run would do, in lines."""
    rustc = (sandbox.rustc or "").split("\n")[0]
    sets = ", ".join(f"{s.name} {s.version} ({s.sha256[:12]})" for s in prompt_sets)
    counts = sorted({planned.n_samples for planned in plan.prompts})
    sampling = " ".join(f"{k}={v}" for k, v in config.sampling.model_dump().items())
    return "\n".join(
        [
            f"checkpoint  {source.name} ({source.info.format}, step {source.info.step}, "
            f"{source.info.fingerprint[:12]})",
            f"prompts     {sets}",
            f"samples     {plan.n_samples} over {len(plan.prompts)} prompts, "
            f"{' or '.join(map(str, counts))} each",
            f"sampling    {sampling} seed={config.seed}",
            f"sandbox     {sandbox.kind}, {sandbox.n_slots} slots, {rustc}, "
            f"Python {sandbox.python}",
            "nothing was sampled (--dry-run)",
        ]
    )
