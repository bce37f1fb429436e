"""The options of the commands, in groups, and how their values are read."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from codebench.trackers import TRACKER_NAMES

Command = Callable[..., Any]
_MAX_ROWS = 4096
_MAX_K = 1_000_000
Option = Callable[[Command], Command]

SANDBOX_OPTION = click.option(
    "--sandbox",
    type=click.Choice(["auto", "docker", "bubblewrap", "none"]),
    default="auto",
    show_default=True,
    help="What isolates the programs; none is for trusted programs only.",
)

LOG_PROJECT_OPTION = click.option(
    "--log-project",
    metavar="NAME",
    help="Project in the tracker.  [default: the tracker's own setting, else codebench]",
)


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Read a duration: 600, 600s, 30m, 30min, 2h."""
    if value is None:
        return None
    units = {"h": 3600.0, "min": 60.0, "m": 60.0, "s": 1.0, "": 1.0}
    number = value.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = value[len(number) :].strip()
    try:
        seconds = float(number) * units[unit]
    except (ValueError, KeyError):
        raise click.BadParameter(f"{value!r} is no duration: 600, 600s, 30min, 2h") from None
    if not 0 < seconds < float("inf"):
        raise click.BadParameter(f"{value!r} must be more than nothing")
    return seconds


def _finite(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    """Refuse nan and inf, which every range lets through."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number that can be used")
    return value


def _device(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Refuse a name that no machine has, before torch is loaded."""
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", value) is None:
        raise click.BadParameter(f"{value!r} is unknown: give auto, cpu, cuda or cuda:N")
    return value


def _rows(_ctx: click.Context, _param: click.Parameter, value: str) -> int | None:
    """Read a number of rows; auto is None."""
    if value == "auto":
        return None
    if not value.isdecimal() or not 1 <= int(value) <= _MAX_ROWS:
        raise click.BadParameter(f"{value!r}: give auto or a number from 1 to {_MAX_ROWS}")
    return int(value)


def _k_values(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[int, ...]:
    """Read 1,10,100."""
    numbers = [number.strip() for number in value.split(",")]
    if not all(number.isdecimal() and 0 < int(number) <= _MAX_K for number in numbers):
        raise click.BadParameter(f"{value!r}: give numbers from 1 to {_MAX_K}, as 1,10,100")
    return tuple(sorted({int(number) for number in numbers}))


def options(*group: Option) -> Option:
    """Return a decorator that gives a command the options of `group`, in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(group):
            command = option(command)
        return command

    return decorate


source_options = options(
    click.option("--checkpoint", help="Path, step_10000, 10000 or latest."),
    click.option(
        "--checkpoint-root",
        type=click.Path(path_type=Path),
        help="Folder that names are looked up in.  [default: ./checkpoints]",
    ),
    click.option(
        "--tokenizer",
        type=click.Path(path_type=Path),
        help="Tokenizer file or folder, instead of the checkpoint's own.",
    ),
    click.option(
        "--loader", help="package.module:function that opens a checkpoint of your own format."
    ),
    click.option("--set", multiple=True, help="NAME=VALUE where the checkpoint leaves it open."),
    click.option(
        "--device",
        callback=_device,
        default="auto",
        show_default=True,
        help="auto, cpu, cuda or cuda:N.",
    ),
    click.option(
        "--batch-size",
        callback=_rows,
        default="auto",
        show_default=True,
        help="Rows that decode together: a number, or auto for what the memory holds.",
    ),
    click.option("--server", help="Sample from a server at this URL instead of a checkpoint."),
    click.option("--model", help="The server's name of the model."),
    click.option(
        "--server-kind",
        type=click.Choice(["openai", "ollama"]),
        default="openai",
        show_default=True,
        help="What the server speaks.",
    ),
    click.option("--chat", is_flag=True, help="Ask as a user of a chat does, and read the answer."),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 1024),
        default=8,
        show_default=True,
        help="Requests to the server at a time.",
    ),
)
"""Where completions come from."""

prompt_options = options(
    click.option(
        "--prompts",
        multiple=True,
        default=("rust-basics",),
        show_default=True,
        help="Prompt set or data set, by name or file; may be repeated.",
    ),
    click.option(
        "--profile",
        type=click.Choice(["codebench", "multipl-e"]),
        default="codebench",
        show_default=True,
        help="Whose rules cut, build and judge: MultiPL-E's reproduce its published numbers.",
    ),
    click.option("--download", is_flag=True, help="Fetch a data set that is not on this machine."),
)
"""What is asked of the model."""

sampling_options = options(
    click.option(
        "--n-samples", type=click.IntRange(min=1), help="Samples in total.  [default: 100]"
    ),
    click.option(
        "--samples-per-prompt", type=click.IntRange(min=1), help="Instead of --n-samples."
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), help="Only the first N prompts of each set."
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=0,
        show_default=True,
        help="The same seed draws the same samples.",
    ),
    click.option(
        "--temperature",
        type=click.FloatRange(min=0),
        callback=_finite,
        default=0.8,
        show_default=True,
        help="0 takes the likeliest token.",
    ),
    click.option(
        "--top-k",
        type=click.IntRange(min=0),
        default=50,
        show_default=True,
        help="Draw from the k likeliest tokens; 0 draws from all.",
    ),
    click.option(
        "--top-p",
        type=click.FloatRange(0, 1, min_open=True),
        callback=_finite,
        default=1.0,
        show_default=True,
        help="Draw from the likeliest tokens that reach this probability together.",
    ),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        default=200,
        show_default=True,
        help="Longest completion, in tokens.",
    ),
    click.option("--stop", multiple=True, help="Text that ends a completion; may be repeated."),
    click.option(
        "--extract",
        type=click.Choice(["auto", "raw", "chat"]),
        default="auto",
        show_default=True,
        help="How the program is cut out of a completion.",
    ),
)
"""Which samples are drawn, and how."""

judging_options = options(
    click.option(
        "--tests/--no-tests",
        default=True,
        show_default=True,
        help="Run the tests of the prompts, or only compile.",
    ),
    click.option(
        "--k",
        callback=_k_values,
        default="1,10,100",
        show_default=True,
        help="The k of pass@k and compile@k.",
    ),
    click.option(
        "--clippy", is_flag=True, help="Lint Rust programs that compile; changes no outcome."
    ),
    SANDBOX_OPTION,
    click.option(
        "--slots", type=click.IntRange(min=1), help="Programs compiled at a time.  [default: cores]"
    ),
    click.option(
        "--timeout",
        callback=_seconds,
        help="Draw nothing after this, and judge 30 s more at most: 600s, 30min, 2h.",
    ),
    click.option(
        "--run-dir",
        type=click.Path(path_type=Path),
        help="Where the samples are kept.  [default: runs/<run_id>]",
    ),
    click.option(
        "--max-infra-errors",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Samples that may fail through our fault before the run ends with exit code 4.",
    ),
    click.option(
        "--output",
        default="benchmark_results.json",
        show_default=True,
        help="File to write; - is stdout.",
    ),
    click.option(
        "--summary-csv",
        type=click.Path(path_type=Path),
        help="Write a table too: a row for the run and one a prompt.",
    ),
    click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML too."),
    click.option(
        "--log-to",
        type=click.Choice(TRACKER_NAMES),
        multiple=True,
        help="Send the numbers to a tracker too; may be repeated.",
    ),
    LOG_PROJECT_OPTION,
    click.option(
        "--fail-on-collapse",
        is_flag=True,
        help="Exit code 1 when the model writes no code any more.",
    ),
)
"""How samples are judged, and where all goes."""
