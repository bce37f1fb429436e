"""The main job with nothing replaced: the demonstration model, real rustc, a real sandbox."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from codebench.results.model import Results
from codebench.store.record import SampleRecord

pytestmark = [pytest.mark.bubblewrap, pytest.mark.slow]
CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
STEPS = sorted(int(path.name.removeprefix("step_")) for path in CHECKPOINTS.glob("step_*"))
BY_TIME_ONLY = {"times", "executions", "reused", "execution_key"}


def command(tmp_path: Path, *options: str) -> list[str]:
    """Build the command line of a run of the last demonstration checkpoint."""
    words = [sys.executable, "-m", "codebench", "run", "--checkpoint", f"step_{STEPS[-1]}"]
    words += ["--checkpoint-root", str(CHECKPOINTS), "--sandbox", "bubblewrap"]
    return [*words, "--run-dir", str(tmp_path / "run"), *options]


def samples(run_dir: Path) -> dict[tuple[str, int], dict[str, object]]:
    """Read the samples of a run by key, without what depends on time; no sample is there twice."""
    found = {}
    for line in (run_dir / "samples.jsonl").read_bytes().splitlines():
        record = SampleRecord.model_validate_json(line)
        key = (record.prompt_id, record.index)
        assert key not in found
        found[key] = record.model_dump(exclude=BY_TIME_ONLY)
    return found


def n_lines(run_dir: Path) -> int:
    """Count the samples on disk so far."""
    path = run_dir / "samples.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def children_of_runs(marker: str) -> list[str]:
    """List the command lines of living processes that hold `marker`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marker in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 48 samples to the end, with the results on stdout."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with (folder / "stdout").open("wb") as stdout:
        subprocess.run(
            command(folder, "--n-samples", "48", "--output", "-"),
            check=True,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
    return folder


def test_stdout_is_the_results_and_nothing_else(undisturbed: Path) -> None:
    """`--output -` writes one valid JSON document, the same as in the run directory."""
    content = (undisturbed / "stdout").read_bytes()
    results = Results.model_validate_json(content)
    assert results.total_samples == 48
    assert results.compile_success_rate is not None
    assert content == (undisturbed / "run" / "results.json").read_bytes()
    assert results.environment.sandbox == "bubblewrap"
    assert results.step == STEPS[-1]


def test_kill_9_and_the_same_command_give_the_undisturbed_samples(
    undisturbed: Path, tmp_path: Path
) -> None:
    """Killed in the middle and run again: nothing lost, doubled, different or left behind."""
    words = command(tmp_path, "--n-samples", "48", "--output", str(tmp_path / "results.json"))
    run_dir = tmp_path / "run"
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while n_lines(run_dir) < 8:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    n_before = n_lines(run_dir)
    assert 8 <= n_before < 48
    before = (run_dir / "samples.jsonl").read_bytes().rpartition(b"\n")[0]

    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert (run_dir / "samples.jsonl").read_bytes().startswith(before)
    assert samples(run_dir) == samples(undisturbed / "run")
    assert not children_of_runs(str(run_dir))


def test_results_do_not_depend_on_the_batch(undisturbed: Path, tmp_path: Path) -> None:
    """Other rows, another order of finishing: the same samples."""
    options = ("--n-samples", "48", "--batch-size", "5", "--output", str(tmp_path / "r.json"))
    subprocess.run(command(tmp_path, *options), check=True, stderr=subprocess.PIPE)
    assert samples(tmp_path / "run") == samples(undisturbed / "run")


def test_ctrl_c_is_resumable(tmp_path: Path) -> None:
    """SIGINT ends the run with exit code 130, one line, and whole records."""
    words = command(tmp_path, "--n-samples", "48", "--output", str(tmp_path / "results.json"))
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while n_lines(tmp_path / "run") < 4:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"the same command goes on" in stderr
    assert b"Traceback" not in stderr
    assert samples(tmp_path / "run")
    assert not (tmp_path / "results.json").exists()


def test_the_timeout_gives_valid_partial_results(tmp_path: Path) -> None:
    """A run that is out of time ends with exit code 0 and says what is missing."""
    output = tmp_path / "results.json"
    options = ("--n-samples", "2000", "--timeout", "8s", "--output", str(output))
    subprocess.run(command(tmp_path, *options), check=True, stderr=subprocess.PIPE)
    results = orjson.loads(output.read_bytes())
    assert results["total_samples"] < 2000
    assert "partial" in [warning["code"] for warning in results["warnings"]]
