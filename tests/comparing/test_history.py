"""`codebench history`, and reading results.json again: of this version, older, newer, broken."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from codebench.cli import main
from codebench.errors import UsageError
from codebench.results.reading import find_results, load_folder, load_results

MakeRun = Callable[..., Path]
OUTCOMES = {"a": "cce", "b": "eec"}


def give(*words: str | Path) -> Result:
    """Give a `codebench history` command."""
    return CliRunner().invoke(main, ["history", *map(str, words)], prog_name="codebench")


def edited(run: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Change the results of a run on disk, and return the file."""
    file = run / "results.json"
    fields = json.loads(file.read_bytes())
    edit(fields)
    file.write_text(json.dumps(fields))
    return file


def test_one_line_a_run_by_step(make_run: MakeRun, tmp_path: Path) -> None:
    """Steps are sorted as numbers, runs without a step come last, each with rate and interval."""
    for name, step in (("late", 1000), ("early", 200), ("nameless", None)):
        make_run(name, OUTCOMES, step=step)
    result = give(tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["step", "checkpoint"]
    assert [line.split()[0] for line in lines[1:]] == ["200", "1000", "-"]
    assert "50.0 %" in lines[1]
    assert "18.8 to 81.2" in lines[1]


def test_json_has_the_numbers(make_run: MakeRun, tmp_path: Path) -> None:
    """--json is a list with step, rate in percent, interval, n, warnings and the file."""
    run = make_run("one", OUTCOMES, step=7)
    result = give(tmp_path, "--json")
    (entry,) = json.loads(result.stdout)
    assert (entry["step"], entry["compile_success_rate"], entry["judged"]) == (7, 50.0, 6)
    assert entry["compile_success_rate_interval"] == pytest.approx([18.8, 81.2], abs=0.05)
    assert entry["pass_at_1"] is None
    assert entry["path"] == str(run / "results.json")


def test_broken_files_are_named_and_skipped(make_run: MakeRun, tmp_path: Path) -> None:
    """What cannot be read costs one line on stderr; other JSON files are not even mentioned."""
    whole = (make_run("one", OUTCOMES) / "results.json").read_bytes()
    (tmp_path / "half.json").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "results_empty.json").touch()
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    result = give(tmp_path)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    said = result.stderr.splitlines()
    assert [line.partition(": ")[0] for line in said] == ["skipped", "skipped"]
    assert "half.json is no whole JSON" in said[0]
    assert "results_empty.json is empty" in said[1]


def test_no_results_is_said_and_fine(tmp_path: Path) -> None:
    """An empty folder is no error: nothing on stdout, one line on stderr; JSON is an empty list."""
    result = give(tmp_path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "there are no results below" in result.stderr
    assert json.loads(give(tmp_path, "--json").stdout) == []


def test_a_missing_folder_is_wrong_usage(tmp_path: Path) -> None:
    """Exit 2 and the name of the folder."""
    result = give(tmp_path / "gone")
    assert result.exit_code == 2
    assert f"there is no folder {tmp_path / 'gone'}" in result.stderr


def test_hostile_names_cannot_act(make_run: MakeRun, tmp_path: Path) -> None:
    """A checkpoint's name with an escape sequence and a line break stays one harmless line."""
    make_run("one", OUTCOMES, update={"checkpoint": "a\x1b]0;t\x07\nb"})
    result = give(tmp_path)
    assert len(result.stdout.splitlines()) == 2
    assert not set("\x1b\x07") & set(result.stdout)


def test_results_are_found_by_name_and_by_content(make_run: MakeRun, tmp_path: Path) -> None:
    """Any JSON file that holds results is found, however it is named; hidden folders are not."""
    run = make_run("one", OUTCOMES)
    content = (run / "results.json").read_bytes()
    (tmp_path / "step_5.json").write_bytes(content)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "results.json").write_bytes(content)
    assert find_results(tmp_path) == [run / "results.json", tmp_path / "step_5.json"]


def test_a_copy_of_a_run_counts_once(make_run: MakeRun, tmp_path: Path) -> None:
    """Of a run directory and a copy of its results the run directory is kept."""
    run = make_run("one", OUTCOMES)
    (tmp_path / "a_copy.json").write_bytes((run / "results.json").read_bytes())
    (only,) = load_folder(tmp_path).loaded
    assert (only.run_dir, only.samples) == (run, run / "samples.jsonl")


def test_a_file_alone_has_no_samples(make_run: MakeRun, tmp_path: Path) -> None:
    """Only a results.json beside its samples.jsonl belongs to a run directory."""
    run = make_run("one", OUTCOMES)
    copy = tmp_path / "copy.json"
    copy.write_bytes((run / "results.json").read_bytes())
    assert load_results(copy).samples is None
    assert load_results(run).run_dir == run
    assert load_results(run / "results.json").run_dir == run


def test_an_older_file_is_read(make_run: MakeRun) -> None:
    """Keys that were not written yet are null or empty, never a number; later keys are ignored."""

    def age(fields: dict[str, Any]) -> None:
        del fields["warnings_per_sample"], fields["warnings"], fields["compile_at_k"]
        del fields["timing"]["bound_share"]
        del fields["samples_by_prompt"][0]["tests"]
        fields["invented_later"] = 1
        fields["diversity"]["invented_later"] = {}

    results = load_results(edited(make_run("one", OUTCOMES), age)).results
    assert results.warnings_per_sample is None
    assert (results.warnings, results.compile_at_k) == ((), {})
    assert results.compile_success_rate == 50.0


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda f: f.pop("judged"), "judged is missing"),
        (lambda f: f.update(judged="many"), "judged is wrong"),
        (lambda f: f["samples_by_prompt"][1].pop("id"), "samples_by_prompt.1.id is missing"),
        (lambda f: f.pop("schema_version"), "has no schema_version"),
        (lambda f: f.update(schema_version=99), "was written by a later codebench"),
    ],
)
def test_what_cannot_be_read_is_named(
    make_run: MakeRun, edit: Callable[[dict[str, Any]], object], said: str
) -> None:
    """A count that is missing, a wrong type, another program's file, a later version: one line."""
    file = edited(make_run("one", OUTCOMES), edit)
    with pytest.raises(UsageError, match=said) as caught:
        load_results(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [("[1]", "no schema_version"), ("NaN", "no whole JSON"), ("[" * 100_000, "no whole JSON")],
)
def test_other_json_is_no_result(tmp_path: Path, content: str, said: str) -> None:
    """A list, NaN and a file that would exhaust the parser are refused in one line."""
    file = tmp_path / "results.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=said):
        load_results(file)


def test_a_run_without_results_says_how_to_go_on(tmp_path: Path) -> None:
    """A run directory that was interrupted has no results.json yet; any other folder has none."""
    with pytest.raises(UsageError, match="codebench history"):
        load_results(tmp_path)
    (tmp_path / "manifest.json").touch()
    with pytest.raises(UsageError, match="goes on when it is given again"):
        load_results(tmp_path)
