"""The command line as a user sees it when all goes well: words in, numbers out, nothing else."""

import gc
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from codebench import __version__
from codebench.cli import main
from codebench.prompts import load_prompt_set
from codebench.prompts.datasets.catalogue import DATA_SETS

ROOT = Path(__file__).parents[1]
DEMO = ("--checkpoint", "latest", "--checkpoint-root", str(ROOT / "checkpoints"))
SMALL = ("--sandbox", "bubblewrap", "--limit", "2", "--n-samples", "2", "--max-tokens", "8")


def commands(
    command: click.Command = main, path: tuple[str, ...] = ("codebench",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))


COMMANDS = {" ".join(path): command for path, command in commands()}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command is given in an empty folder, without options from the environment."""
    for name in [name for name in os.environ if name.startswith("CODEBENCH_RUN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def succeed(*words: str) -> str:
    """Give a command that succeeds, and return what it wrote to stdout."""
    result = CliRunner().invoke(main, words, prog_name="codebench")
    assert result.exit_code == 0, result.output
    return result.stdout


def examples(command: click.Command) -> list[str]:
    """Return the example lines of a command's help."""
    lines = map(str.strip, (command.help or "").splitlines())
    return [line for line in lines if line.startswith("codebench ")]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_an_example_that_exists(path: str) -> None:
    """The help of a command shows itself being called, with options that it has."""
    command = COMMANDS[path]
    shown = examples(command)
    assert shown
    assert all(line.startswith(path) for line in shown)
    called = COMMANDS["codebench run"] if command is main else command
    known = {name for option in called.params for name in option.opts}
    for line in shown:
        assert {word for word in shlex.split(line) if word.startswith("--")} <= known


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_documented(path: str) -> None:
    """An option without a help text is a question."""
    options = [p for p in COMMANDS[path].params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_help_shows_the_example_on_its_own_line(path: str) -> None:
    """`--help` prints the example as it is typed, and no marks of the help's own format."""
    said = succeed(*path.split()[1:], "--help")
    assert "\\b" not in said
    shown = [line.strip() for line in said.splitlines()]
    assert all(line in shown for line in examples(COMMANDS[path]))


def test_version() -> None:
    """`--version` names the program and its version."""
    assert succeed("--version") == f"codebench, version {__version__}\n"


def test_schema_is_a_schema() -> None:
    """`codebench schema` prints a JSON Schema that knows the seed's keys."""
    schema = json.loads(succeed("schema"))
    Draft202012Validator.check_schema(schema)
    assert {"checkpoint", "compile_success_rate", "samples_by_prompt"} <= set(schema["properties"])


def test_prompts_list_names_every_set() -> None:
    """One line a set, built in or a data set: its name, language and number of prompts."""
    lines = succeed("prompts", "list").splitlines()
    names = {line.split()[0] for line in lines}
    assert names == {path.stem for path in (ROOT / "prompts").glob("*.toml")} | set(DATA_SETS)
    assert {"rust-basics", "rust-extended", "python-basics"} <= names
    (basics,) = [line for line in lines if line.startswith("rust-basics")]
    assert re.search(r"rust +16 prompts", basics)


def test_prompts_show_lists_the_prompts_of_a_set() -> None:
    """One line a prompt, in the order of the file."""
    lines = succeed("prompts", "show", "rust-basics").splitlines()
    expected = [prompt.id for prompt in load_prompt_set("rust-basics").prompts]
    assert [line.split()[0] for line in lines] == expected


def test_prompts_show_prints_one_prompt_whole() -> None:
    """The prompt, its reference and its tests are shown."""
    said = succeed("prompts", "show", "rust-basics", "factorial")
    assert "fn factorial(n: u64) -> u64 {" in said
    assert "test: " in said


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # docker's, when refused
def test_doctor_prints_a_line_for_each_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any sandbox the doctor still looks at everything, says each fix, and ends with 3."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    result = CliRunner().invoke(main, ["doctor"])
    gc.collect()
    assert result.exit_code == 3
    found = [line.split(":")[0].split(maxsplit=1) for line in result.stdout.splitlines()]
    assert ["FAIL", "docker"] in found
    assert ["FAIL", "bubblewrap"] in found
    assert {"prompt sets", "disk", "device"} <= {name for mark, name in found if mark == "ok"}
    assert "apt-get install" in result.stdout
    assert result.stderr == ""


@pytest.mark.bubblewrap
def test_doctor_is_content(here: Path) -> None:
    """Where the sandbox holds, the doctor says what it found and ends with 0."""
    said = succeed("doctor", "--sandbox", "bubblewrap")
    assert "every limit holds" in said
    assert "FAIL" not in said
    assert list(here.iterdir()) == []


@pytest.mark.bubblewrap
def test_a_dry_run_writes_nothing(here: Path) -> None:
    """A dry run says what would be done, on stderr, and leaves no file."""
    result = CliRunner().invoke(main, ["run", *DEMO, *SMALL, "--dry-run"])
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "2 over 2 prompts" in result.stderr
    assert list(here.iterdir()) == []


@pytest.mark.bubblewrap
def test_an_option_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """CODEBENCH_RUN_N_SAMPLES stands for --n-samples, and the word on the line wins over it."""
    monkeypatch.setenv("CODEBENCH_RUN_N_SAMPLES", "5")
    words = ["run", *DEMO, "--sandbox", "bubblewrap", "--dry-run"]
    assert "5 over 16 prompts" in CliRunner().invoke(main, words).stderr
    assert "7 over 16 prompts" in CliRunner().invoke(main, [*words, "--n-samples", "7"]).stderr


def test_a_wrong_option_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad value in the environment is refused under the option's name."""
    monkeypatch.setenv("CODEBENCH_RUN_N_SAMPLES", "0")
    result = CliRunner().invoke(main, ["run", *DEMO])
    assert result.exit_code == 2
    assert "'--n-samples'" in result.stderr


@pytest.mark.slow
@pytest.mark.bubblewrap
def test_output_to_stdout_is_pure_json(here: Path) -> None:
    """With `--output -` stdout is the results and nothing else; the table is on stderr."""
    answer = subprocess.run(
        [sys.executable, "-m", "codebench", "run", *DEMO, *SMALL, "--output", "-"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    results = json.loads(answer.stdout)
    Draft202012Validator(json.loads(succeed("schema"))).validate(results)
    assert results["total_samples"] == 2
    assert "Benchmark Results" in answer.stderr
    assert [path.name for path in here.iterdir()] == ["runs"]
    (run_dir,) = (here / "runs").iterdir()
    assert json.loads((run_dir / "results.json").read_bytes()) == results


@pytest.mark.slow
@pytest.mark.bubblewrap
def test_an_interrupt_is_told_and_can_be_gone_on_from(here: Path) -> None:
    """Ctrl-C ends with 130 and one line; what was judged stays, and no results are claimed."""
    words = ["run", *DEMO, "--sandbox", "bubblewrap", "--n-samples", "2000", "--run-dir", "run"]
    with subprocess.Popen(
        [sys.executable, "-m", "codebench", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        seen = [next(process.stderr)]
        while not seen[-1].startswith("sampling on"):
            seen.append(next(process.stderr))
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert rest == "codebench: interrupted; the same command goes on from here\n"
    assert [path.name for path in here.iterdir()] in ([], ["run"])


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("600", 600), ("600s", 600), ("30m", 1800), ("30min", 1800), ("2h", 7200), ("1.5 h", 5400)],
)
def test_durations(words: str, seconds: float) -> None:
    """A timeout is a number of seconds, or a number with s, m, min or h."""
    run = COMMANDS["codebench run"]
    context = run.make_context("run", ["--checkpoint", "x", "--timeout", words])
    assert context.params["timeout"] == seconds
