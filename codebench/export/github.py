"""The summary of a GitHub Actions step, and the lines that make its annotations.

Sources: GitHub docs, "Workflow commands": a summary over 1 MiB is refused as a whole, 10 warnings a
step are shown; in messages % CR LF are escaped, in properties : and , too.
"""

from collections.abc import Sequence

from codebench.export.markdown import code, percent, plain, table
from codebench.export.markdown_table import how_measured, runs_table
from codebench.export.order import by_step, label_of
from codebench.results.model import Results
from codebench.results.reading import Loaded

MAX_BYTES = 1024**2 - 1024
_MAX_ANNOTATIONS = 10
_MAX_PROMPTS = 100
_MAX_CODES = 5
_CUT = b"\n\n(cut: a summary holds 1 MiB)\n"


def github_summary(loaded: Sequence[Loaded]) -> bytes:
    """Return the Markdown of a step summary: runs, warnings, the last run's prompts and errors."""
    runs = [one.results for one in by_step(loaded)]
    last = runs[-1]
    parts = ["## codebench", _headline(last), *_warnings(runs), runs_table(runs)]
    if last.error_codes:
        codes = list(last.error_codes.items())[:_MAX_CODES]
        told = ", ".join(f"{code(name)} in {n}" for name, n in codes)
        parts.append(f"Errors, of {last.judged} samples of {plain(label_of(last))}: {told}.")
    parts += [_prompts(last), plain(how_measured(last)) + "."]
    content = ("\n\n".join(part.rstrip("\n") for part in parts) + "\n").encode("utf-8", "replace")
    if len(content) <= MAX_BYTES:
        return content
    return content[: MAX_BYTES - len(_CUT)].decode("utf-8", "ignore").encode() + _CUT


def annotations(loaded: Sequence[Loaded]) -> list[str]:
    """Return a workflow command for each warning of the runs, at most 10: what GitHub shows."""
    lines = [
        f"::warning title={_property(f'codebench {label_of(one.results)}: {warning.code}')}::"
        f"{_message(warning.message)}"
        for one in by_step(loaded)
        for warning in one.results.warnings
    ]
    return lines[:_MAX_ANNOTATIONS]


def _headline(last: Results) -> str:
    wilson = last.intervals.compile_success_rate.wilson
    if wilson is None:
        return f"{plain(label_of(last))}: no sample was judged."
    return (
        f"**{percent(last.compile_success_rate)}** of {last.judged} programs of "
        f"{plain(label_of(last))} compile (95 % interval {wilson.low:.1f} to {wilson.high:.1f})."
    )


def _warnings(runs: Sequence[Results]) -> list[str]:
    return [
        f"> [!WARNING]\n> {plain(label_of(results))}: {plain(warning.message)}"
        for results in runs
        for warning in results.warnings
    ]


def _prompts(last: Results) -> str:
    rows = [
        [
            code(prompt.id),
            f"{prompt.compile_success} of {prompt.judged}",
            percent(prompt.compile_success_rate),
            code(prompt.common_errors[0]) if prompt.common_errors else "",
        ]
        for prompt in last.samples_by_prompt[:_MAX_PROMPTS]
    ]
    left_out = len(last.samples_by_prompt) - len(rows)
    more = f"\n{left_out} more prompts are left out.\n" if left_out else ""
    header = ["prompt", "compiled", "rate", "most frequent error"]
    shown = table(header, rows, right=[1, 2])
    title = f"Prompts of {label_of(last)}".replace("<", "&lt;")
    return f"<details><summary>{title}</summary>\n\n{shown}{more}\n</details>"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
