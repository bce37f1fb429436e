"""`codebench score`: samples made elsewhere go through everything but the sampling."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from codebench.cli import main
from codebench.prompts import load_prompt_set

BASICS = load_prompt_set("python-basics")


def human_eval(path: Path) -> Path:
    """Write human-eval samples: for each prompt its reference, and one that does not compile."""
    rows = [
        {"task_id": f"python-basics/{prompt.id}", "completion": completion}
        for prompt in BASICS.prompts
        for completion in (prompt.reference, "    return )")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.bubblewrap
def test_samples_of_human_eval_are_judged(tmp_path: Path) -> None:
    """Every reference compiles and every broken text does not; the file is named as the source."""
    file = human_eval(tmp_path / "samples.jsonl")
    words = ["score", str(file), "--prompts", "python-basics", "--sandbox", "bubblewrap"]
    words += ["--run-dir", str(tmp_path / "run"), "--output", str(tmp_path / "results.json")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.stderr
    results = json.loads((tmp_path / "results.json").read_bytes())
    n_prompts = len(BASICS.prompts)
    assert (results["total_samples"], results["compiled"]) == (2 * n_prompts, n_prompts)
    assert results["compile_success_rate"] == 50.0
    assert results["checkpoint_info"]["format"] == "human-eval"
    assert results["tokens_per_second"] is None
    again = CliRunner().invoke(main, [*words[:-1], str(tmp_path / "again.json")])
    assert "resuming" in again.stderr


def test_a_file_of_other_prompts_is_named(tmp_path: Path) -> None:
    """Samples of prompts that are not asked end with one line and exit code 2."""
    file = tmp_path / "samples.jsonl"
    file.write_text('{"task_id": "HumanEval/0", "completion": "    pass"}\n')
    result = CliRunner().invoke(main, ["score", str(file), "--prompts", "rust-basics"])
    assert result.exit_code == 2
    assert "HumanEval/0" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there ends with one line that names it."""
    result = CliRunner().invoke(
        main, ["score", str(tmp_path / "none.jsonl"), "--prompts", "rust-basics"]
    )
    assert result.exit_code in {2, 3}
    assert "none.jsonl" in result.stderr
    assert result.stderr.count("\n") == 1
