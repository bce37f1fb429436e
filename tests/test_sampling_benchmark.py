"""The benchmark of sampling runs, small, and prints what it promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_sampling_is_compared_on_the_same_work() -> None:
    """Each ratio is there, planned lengths are kept, and nanoGPT writes what its twin writes."""
    words = ("--samples", "8", "--repetitions", "1", "--rows", "4", "--device", "cpu")
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.sampling", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert all(ratio > 0 for ratio in found["ratios_of_samples_per_s"].values())
    assert len(found["ratios_of_samples_per_s"]) == 4
    skewed = found["lengths_skewed"]
    assert skewed["rows"]["n_tokens"] == skewed["generate_all"]["n_tokens"]
    falling = found["lengths_as_they_fall"]
    assert falling["rows"]["n_tokens"] == falling["one_row"]["n_tokens"]
    assert found["nanogpt_to_huggingface"]["same_samples"] is True
    assert found["rows_in_use"]["thrown_away_percent"] < 2
    assert 0 < found["first_token"]["torch_share_percent"] < 100
