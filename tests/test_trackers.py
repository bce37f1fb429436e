"""Trackers get every step, proven by reading back what their own libraries have stored."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import pytest

from codebench.errors import EnvironmentProblem
from codebench.prompts import load_prompt_set
from codebench.results.model import Results
from codebench.trackers import TRACKER_NAMES
from codebench.trackers.point import point_of
from codebench.trackers.sending import check_trackers

NOWHERE = "http://127.0.0.1:9"
Stored = dict[int, float]
"""By step: the compile rate that a tracker holds."""


def codebench(
    folder: Path, *words: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder that is the place of every tracker, without your settings."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "MLFLOW", "TRACKIO"))}
    return subprocess.run(
        [sys.executable, "-m", "codebench", *words],
        cwd=folder,
        env={**own, "TRACKIO_DIR": str(folder / "trackio-db"), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def score(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Judge three samples of two prompts, of which two compile and one passes."""
    first, second = load_prompt_set("python-basics").prompts[:2]
    rows = [(first.id, first.reference), (first.id, "    return (\n"), (second.id, "    pass\n")]
    (folder / "made.jsonl").write_bytes(
        b"".join(orjson.dumps({"task_id": i, "completion": text}) + b"\n" for i, text in rows)
    )
    where = ("--prompts", "python-basics", "--sandbox", "none", "--run-dir", "run")
    done = codebench(folder, "score", "made.jsonl", *where, *words, env=env)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Give the results of a real run."""
    folder = tmp_path_factory.mktemp("real")
    exit_code, _, said = score(folder, "--output", "o.json")
    assert exit_code == 0, said
    return Results.model_validate_json((folder / "o.json").read_bytes())


def at_step(results: Results, step: int, *, path: str = "/out/a/step_{}") -> Results:
    """Return the results as if the checkpoint of a step had written the samples."""
    info = results.checkpoint_info.model_copy(update={"step": step, "path": path.format(step)})
    changes = {"step": step, "checkpoint_info": info, "compile_success_rate": step / 100}
    return results.model_copy(update=changes)


def test_numbers_are_those_of_the_results(results: Results) -> None:
    """Each number has a flat name and its value of results.json; what is undefined is left out."""
    metrics = point_of(results).metrics
    wilson = results.intervals.compile_success_rate.wilson
    assert wilson is not None
    assert metrics["codebench/compile_success_rate"] == pytest.approx(200 / 3)
    assert metrics["codebench/compile_success_rate_low"] == wilson.low
    assert metrics["codebench/pass_rate"] == pytest.approx(100 / 3)
    assert metrics["codebench/pass_at_1"] == results.pass_at_k["1"]
    assert metrics["codebench/error_rate/SyntaxError"] == pytest.approx(100 / 3)
    assert metrics["codebench/outcome_rate/passed"] == pytest.approx(100 / 3)
    assert metrics["codebench/collapsed"] == 0
    assert "codebench/tokens_per_second" not in metrics
    assert all(type(value) is float for value in metrics.values())


def test_error_rates_are_those_of_the_ten_most_frequent_codes(results: Results) -> None:
    """A model that makes every error there is does not fill a tracker with charts."""
    codes = {f"E{n:04}": 3 for n in range(30)}
    metrics = point_of(results.model_copy(update={"error_codes": codes})).metrics
    assert [name for name in metrics if "/error_rate/" in name] == [
        f"codebench/error_rate/E{n:04}" for n in range(10)
    ]


def test_steps_of_one_training_share_a_line(results: Results) -> None:
    """Only digits of the checkpoint's name may differ: not its folder, not the sampling."""
    line = point_of(at_step(results, 500)).run
    assert point_of(at_step(results, 2000)).run == line
    assert point_of(at_step(results, 500, path="/out/b/step_{}")).run != line
    assert point_of(at_step(results, 500, path="/out/a/other_{}")).run != line
    hot = results.sampling.model_copy(update={"temperature": 1.5})
    other = at_step(results, 500).model_copy(update={"sampling": hot})
    assert point_of(other).run != line
    assert point_of(results).run == results.run_id


def _wandb(folder: Path) -> Stored:
    """Read the files of every offline run, as leveldb's log format has them: 7 bytes, then data."""
    pb = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    stored: Stored = {}
    axes = []
    for file in folder.glob("wandb/offline-run-*/*.wandb"):
        content, at, parts = file.read_bytes(), 7, b""
        assert content[:4] == b":W&B"
        while at + 7 <= len(content):
            if 32768 - at % 32768 < 7:  # the rest of a block is padding
                at += 32768 - at % 32768
                continue
            length, kind = struct.unpack_from("<HB", content, at + 4)
            parts += content[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in (1, 4):  # whole, or the last part
                record, parts = pb.Record.FromString(parts), b""
                row = {
                    item.key or "/".join(item.nested_key): orjson.loads(item.value_json)
                    for item in record.history.item
                }
                if "codebench/step" in row:
                    stored[row["codebench/step"]] = row["codebench/compile_success_rate"]
                if record.metric.glob_name == "codebench/*":
                    axes.append(record.metric.step_metric)
    assert axes == ["codebench/step"] * 2  # a run each time
    return stored


def _mlflow(folder: Path) -> Stored:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "codebench/compile_success_rate")
    return {metric.step: metric.value for metric in history}


def _tensorboard(folder: Path) -> Stored:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (line,) = (folder / "tensorboard" / "mine").iterdir()
    events = EventAccumulator(str(line))
    events.Reload()
    return {event.step: event.value for event in events.Scalars("codebench/compile_success_rate")}


def _trackio(folder: Path) -> Stored:
    code = """
import json, trackio
runs = list(trackio.Api().runs("mine"))
rows = trackio.sqlite_storage.SQLiteStorage.get_logs("mine", runs[0].name)
print(json.dumps([len(runs), [(r["step"], r["codebench/compile_success_rate"]) for r in rows]]))
"""
    env = {**os.environ, "TRACKIO_DIR": str(folder / "trackio-db")}
    said = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    n_runs, rows = orjson.loads(said.stdout.splitlines()[-1])
    assert n_runs == 1
    return dict(rows)


READERS: Mapping[str, Callable[[Path], Stored]] = {
    "wandb": _wandb,
    "mlflow": _mlflow,
    "tensorboard": _tensorboard,
    "trackio": _trackio,
}


@pytest.mark.filterwarnings("ignore")  # what the libraries warn of while they are read
@pytest.mark.parametrize("name", TRACKER_NAMES)
def test_old_steps_are_kept(name: str, results: Results, tmp_path: Path) -> None:
    """Step 500 that comes after step 2000 is there, on the same line; stdout stays empty."""
    try:
        check_trackers([name])
    except EnvironmentProblem as missing:
        pytest.skip(str(missing))
    for step in (2000, 500):
        (tmp_path / f"{step}.json").write_bytes(at_step(results, step).to_json())
        words = ("log", f"{step}.json", "--to", name, "--log-project", "mine")
        done = codebench(tmp_path, *words, env={"WANDB_MODE": "offline"})
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        assert f"{name} has 1 step: " in done.stderr
    assert READERS[name](tmp_path) == {2000: 20.0, 500: 5.0}


def test_a_run_is_logged_after_its_results_are_written(tmp_path: Path) -> None:
    """`--log-to` leaves stdout to the results, and the numbers are in the tracker."""
    pytest.importorskip("tensorboard")
    exit_code, out, said = score(tmp_path, "--output", "-", "--log-to", "tensorboard")
    assert exit_code == 0, said
    results = Results.model_validate_json(out)
    assert f"tensorboard has 1 step: tensorboard/codebench/{results.run_id}" in said
    assert list((tmp_path / "tensorboard" / "codebench" / results.run_id).iterdir())


def test_a_tracker_that_fails_costs_no_results(tmp_path: Path) -> None:
    """A server that is away is one line on stderr; the run ends as it would have ended."""
    pytest.importorskip("mlflow")
    away = {"MLFLOW_TRACKING_URI": NOWHERE, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    exit_code, _, said = score(tmp_path, "--output", "o.json", "--log-to", "mlflow", env=away)
    assert exit_code == 0
    assert Results.model_validate_json((tmp_path / "o.json").read_bytes()).judged == 3
    (line,) = [line for line in said.splitlines() if line.startswith("codebench: ")]
    assert "mlflow did not take the numbers" in line
    assert "`codebench log run --to mlflow`" in line
    again = codebench(tmp_path, "log", "run", "--to", "mlflow", env=away)
    assert again.returncode == 3
    assert again.stderr.startswith("codebench: mlflow did not take the numbers: ")


def test_wandb_without_a_key_is_told_and_never_asked_for(tmp_path: Path, results: Results) -> None:
    """An unattended run does not wait at W&B's question."""
    pytest.importorskip("wandb")
    (tmp_path / "r.json").write_bytes(results.to_json())
    words = ("log", "r.json", "--to", "wandb")
    done = codebench(tmp_path, *words, env={"WANDB_BASE_URL": NOWHERE, "HOME": str(tmp_path)})
    assert done.returncode == 3
    assert "run `wandb login`, or set WANDB_MODE=offline" in done.stderr


@pytest.mark.parametrize("name", TRACKER_NAMES)
def test_a_missing_library_is_told_with_its_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is one line with what to type, and it ends with exit code 3."""
    monkeypatch.setitem(sys.modules, name, None)  # what Python itself takes for "not installed"
    with pytest.raises(EnvironmentProblem, match=rf"pip install 'codebench\[{name}\]'") as told:
        check_trackers([name])
    assert told.value.exit_code == 3


def test_a_missing_library_is_told_before_the_run(tmp_path: Path) -> None:
    """Nothing has been sampled, judged or written when the message comes."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['trackio'] = None\n")
    env = {"PYTHONPATH": str(tmp_path)}
    exit_code, out, said = score(tmp_path, "--output", "o.json", "--log-to", "trackio", env=env)
    assert (exit_code, out) == (3, "")
    assert said.startswith("codebench: trackio is not installed: pip install ")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "o.json").exists()


def test_a_folder_is_no_library(tmp_path: Path) -> None:
    """`./trackio`, which a tracker may have made itself, is not taken for the package."""
    (tmp_path / "trackio").mkdir()
    code = """
import sys
from codebench.trackers.sending import check_trackers
sys.path[:] = [""]
check_trackers(["trackio"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "EnvironmentProblem: trackio is not installed" in done.stderr


def test_nothing_to_log_is_told(tmp_path: Path) -> None:
    """A folder without results is named."""
    done = codebench(tmp_path, "log", ".", "--to", "tensorboard")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "codebench: no results below .\n"
