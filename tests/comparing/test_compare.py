"""`codebench compare`: what it says and refuses, its exit codes, and foreign text in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt

from codebench.cli import main
from codebench.compare.markdown import escaped

MakeRun = Callable[..., Path]

LOW = {"a": "eeeeec", "b": "eeeeee", "c": "cceeee", "d": "eeeeec", "f": "eeceee"}
HIGH = {"a": "cccccc", "b": "ccecce", "c": "cccccc", "d": "cceccc", "f": "ccccce"}
"""Compiled (c) or not (e), six samples a prompt."""

HOSTILE = "x\x1b[2J\x07|<script>alert(1)</script>\n# h [l](http://e.example) @me `c` \u202e_i_"


def give(*words: str | Path) -> Result:
    """Give a `codebench compare` command."""
    return CliRunner().invoke(main, ["compare", *map(str, words)], prog_name="codebench")


def compared(*words: str | Path) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a comparison that works."""
    result = give(*words, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def metric(report: Any, name: str = "compile_success_rate", other: int = 0) -> Any:  # noqa: ANN401
    """Return one number of a comparison."""
    found = [m for m in report["comparisons"][other]["metrics"] if m["name"] == name]
    assert len(found) == 1
    return found[0]


def alone(run: Path, tmp_path: Path) -> Path:
    """Return a copy of a run's results that stands alone, without its samples."""
    file = tmp_path / f"alone_{run.name}.json"
    file.write_bytes((run / "results.json").read_bytes())
    return file


def test_a_better_run_is_called_better(make_run: MakeRun) -> None:
    """From 5 of 30 to 26 of 30: the change in points and percent, surely better, nothing odd."""
    report = compared(make_run("one", LOW, step=1), make_run("two", HIGH, step=2))
    rate = metric(report)
    assert rate["base"] == pytest.approx(100 * 5 / 30)
    assert rate["other"] == pytest.approx(100 * 26 / 30)
    assert rate["change"] == pytest.approx(70)
    assert rate["relative_change"] == pytest.approx(420)
    assert rate["verdict"] == "better"
    assert rate["interval"]["low"] < 70 < rate["interval"]["high"]
    assert 0 < rate["p"] < 1e-4
    assert 20 < rate["smallest_difference"] < 40
    assert report["comparisons"][0]["settings"] == []
    assert report["n_tests"] == 1


def test_the_other_way_round_is_worse(make_run: MakeRun) -> None:
    """With base and other exchanged the change has the other sign, and the verdict is worse."""
    one, two = make_run("one", LOW), make_run("two", HIGH)
    there, back = metric(compared(one, two)), metric(compared(two, one))
    assert back["change"] == pytest.approx(-there["change"])
    assert back["p"] == pytest.approx(there["p"])
    assert back["interval"]["low"] == pytest.approx(-there["interval"]["high"])
    assert back["verdict"] == "worse"


def test_run_directories_pair_by_seed_and_files_do_not(make_run: MakeRun, tmp_path: Path) -> None:
    """McNemar over pairs where the samples are there, else Cochran-Mantel-Haenszel."""
    one, two = make_run("one", LOW), make_run("two", HIGH)
    report = compared(one, two)
    assert metric(report)["test"].startswith("McNemar")
    assert report["comparisons"][0]["pairs"] == {"n": 30, "better": 21, "worse": 0}
    unpaired = compared(alone(one, tmp_path), alone(two, tmp_path))
    assert metric(unpaired)["test"].startswith("Cochran")
    assert unpaired["comparisons"][0]["pairs"] is None


def test_what_we_failed_to_judge_is_in_no_pair(make_run: MakeRun) -> None:
    """An infra_error leaves its pair out and does not stop the pairing."""
    one = make_run("one", {"a": "eei", "b": "ccc"})
    two = make_run("two", {"a": "cce", "b": "ccc"})
    report = compared(one, two)
    assert report["comparisons"][0]["pairs"] == {"n": 5, "better": 2, "worse": 0}


@pytest.mark.parametrize("damage", [b"no json\n", b'{"prompt_id": 1}\n'])
def test_samples_that_cannot_be_read_do_not_pair(make_run: MakeRun, damage: bytes) -> None:
    """A damaged samples.jsonl costs the pairing, not the comparison."""
    one, two = make_run("one", LOW), make_run("two", HIGH)
    with (two / "samples.jsonl").open("ab") as file:
        file.write(damage)
    report = compared(one, two)
    assert metric(report)["test"].startswith("Cochran")


def test_samples_beyond_the_results_do_not_pair(make_run: MakeRun) -> None:
    """A run that went on after its results.json was written is compared by its results.json."""
    one, two = make_run("one", LOW), make_run("two", HIGH)
    longer = make_run("longer", {**HIGH, "g": "ccc"})
    (two / "samples.jsonl").write_bytes((longer / "samples.jsonl").read_bytes())
    assert compared(one, two)["comparisons"][0]["pairs"] is None


def test_one_sample_a_prompt_pairs_by_prompt(make_run: MakeRun, tmp_path: Path) -> None:
    """Greedy runs with one sample each need no samples file for McNemar's test."""
    letters = "ceceeeeecc", "cccccceccc"
    runs = [
        alone(make_run(name, dict(zip("abcdefghij", outcome, strict=True))), tmp_path)
        for name, outcome in zip(("one", "two"), letters, strict=True)
    ]
    rate = metric(compared(*runs))
    assert "one sample each" in rate["test"]
    assert rate["p"] == pytest.approx(2 / 2**5)


def test_alike_runs_are_not_told_apart(make_run: MakeRun) -> None:
    """The same outcomes give no p value below 0.05, no verdict, and no gate."""
    one, two = make_run("one", LOW), make_run("two", LOW)
    rate = metric(compared(one, two))
    assert (rate["change"], rate["verdict"], rate["p"]) == (0, "not_shown", None)
    assert give(one, two, "--fail-on-regression").exit_code == 0


def test_holm_corrects_over_the_comparisons(make_run: MakeRun) -> None:
    """Each run is compared with the base, and p grows with the number of comparisons."""
    runs = [make_run(name, o) for name, o in (("one", LOW), ("two", HIGH), ("three", HIGH))]
    report = compared(*runs)
    assert report["n_tests"] == 2
    for other in (0, 1):
        rate = metric(report, other=other)
        assert rate["p_holm"] == pytest.approx(2 * rate["p"])


def test_neutral_numbers_change_without_praise(make_run: MakeRun) -> None:
    """More lines are neither good nor bad: changed."""
    one = make_run("one", {p: "c" * (1 + n % 2) for n, p in enumerate("abcdefgh")})
    two = make_run("two", {p: "c" * (5 + n % 3) for n, p in enumerate("abcdefgh")})
    lines = metric(compared(one, two), "avg_lines")
    assert (lines["good"], lines["verdict"]) == ("neither", "changed")
    assert lines["interval"]["meaning"] == "prompts in general"


def test_flips_and_error_codes(make_run: MakeRun) -> None:
    """A prompt flips where half of its samples compile in one run only; codes grow and shrink."""
    one = make_run("one", {"a": "eee", "b": "cce", "c": "cee"}, code="E0308")
    two = make_run("two", {"a": "cec", "b": "eee", "c": "eec"}, code="E0599")
    found = compared(one, two)["comparisons"][0]
    assert [(f["id"], f["base"], f["other"]) for f in found["prompts_flipped"]] == [
        ("a", [0, 3], [2, 3]),
        ("b", [2, 3], [0, 3]),
    ]
    assert {c["code"]: (c["base"], c["other"]) for c in found["error_codes"]} == {
        "E0308": (6, 0),
        "E0599": (0, 6),
    }
    text = give(one, two).stdout
    assert "Now solved by half of the samples: a 0/3 → 2/3" in text
    assert "No longer solved by half: b 2/3 → 0/3" in text
    assert "Errors that shrank: E0308 6 → 0" in text


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"temperature": 0.2}, "temperature (0.8 and 0.2)"),
        ({"update": {"metric_version": 99}}, "metric_version ("),
    ],
)
def test_runs_that_measured_different_things_are_refused(
    make_run: MakeRun, changes: dict[str, Any], named: str
) -> None:
    """Exit 2 and one line that names the setting and --force, which then compares them."""
    one, two = make_run("one", LOW), make_run("two", HIGH, **changes)
    refused = give(one, two)
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert named in refused.stderr
    assert "--force" in refused.stderr
    forced = compared(one, two, "--force")["comparisons"][0]
    assert [s["name"] for s in forced["settings"] if s["fatal"]] == [named.split(" (")[0]]
    assert "--force" in forced["notes"][0]
    assert f"changed {named.split(' (')[0]}:" in give(one, two, "--force").stdout


def change_environment(run: Path, **changes: object) -> None:
    """Change facts of a run's environment."""
    file = run / "results.json"
    fields = json.loads(file.read_bytes())
    fields["environment"] |= changes
    file.write_text(json.dumps(fields))


def test_another_compiler_is_refused_and_another_sandbox_is_told(make_run: MakeRun) -> None:
    """The compiler decides what compiles; the sandbox around it only gets a line."""
    one, two = make_run("one", LOW), make_run("two", HIGH)
    change_environment(two, sandbox="docker", image="codebench@sha256:0")
    settings = compared(one, two)["comparisons"][0]["settings"]
    assert [(s["name"], s["fatal"]) for s in settings] == [("sandbox", False), ("image", False)]
    change_environment(two, rustc="rustc 1.63.0")
    refused = give(one, two)
    assert refused.exit_code == 2
    assert "rustc (rustc 1.95.0 (59807616e 2026-04-14) and rustc 1.63.0)" in refused.stderr


def test_other_prompts_are_refused(make_run: MakeRun) -> None:
    """Runs over other prompts are refused; without one in common --force does not help."""
    one, two = make_run("one", LOW), make_run("two", {**HIGH, "g": "ccc"})
    refused = give(one, two)
    assert refused.exit_code == 2
    assert "prompts with samples (5 " in refused.stderr
    assert give(one, two, "--force").exit_code == 0
    nothing = give(one, make_run("three", {"z": "ccc"}), "--force")
    assert nothing.exit_code == 2
    assert "no prompt with samples in common" in nothing.stderr


@pytest.mark.parametrize("words", [["--fail-on-regression"], ["--fail-on-regression", "pass@1"]])
def test_the_gate_does_not_swallow_a_file(make_run: MakeRun, words: list[str]) -> None:
    """`--fail-on-regression A B` takes both as files, and a name after it as the number."""
    one, two = make_run("one", HIGH), make_run("two", LOW)
    result = give(*words, one, two)
    if len(words) == 1:
        assert result.exit_code == 1
        assert result.stderr.startswith("regression: compile_success_rate of two is worse")
        assert "↓ worse" in result.stdout
    else:
        assert result.exit_code == 2
        assert "pass@1 was not measured in both one and two" in result.stderr


def test_the_gate_asks_the_interval_unless_told_otherwise(make_run: MakeRun) -> None:
    """One sample fewer is no regression by the interval, and one by the point."""
    one, two = (
        make_run("one", {"a": "cccccc", "b": "cccccc"}),
        make_run("two", {"a": "cccccc", "b": "ccccce"}),
    )
    assert give(one, two, "--fail-on-regression").exit_code == 0
    by_point = give(one, two, "--fail-on-regression", "--gate", "point")
    assert by_point.exit_code == 1
    assert by_point.stderr.startswith("regression: compile_success_rate of two")
    assert give(two, one, "--fail-on-regression", "--gate", "point").exit_code == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("compile_rat", "unknown number compile_rat; known: compile_success_rate"),
        ("avg_lines", "avg_lines is neither good nor bad"),
        ("unique_share", "unique_share has no interval; --gate point"),
    ],
)
def test_a_gate_that_cannot_be_judged_is_refused(make_run: MakeRun, name: str, said: str) -> None:
    """Exit 2 and one line, and nothing on stdout that a script would take for a pass."""
    result = give(make_run("one", LOW), make_run("two", HIGH), "--fail-on-regression", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_folder_is_its_results_by_step(make_run: MakeRun, tmp_path: Path) -> None:
    """The lowest step is the base; a copy of a run's results counts once; broken ones are named."""
    make_run("two", HIGH, step=200)
    alone(make_run("one", LOW, step=30), tmp_path)
    (tmp_path / "results_x.json").write_text("{")
    result = give(tmp_path, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["base"]["step"] == 30
    assert [c["other"]["step"] for c in report["comparisons"]] == [200]
    assert result.stderr.startswith("skipped: ")
    assert "results_x.json is no whole JSON" in result.stderr


@pytest.mark.parametrize("paths", [["gone.json", "gone.json"], ["."]])
def test_nothing_to_compare_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str]
) -> None:
    """A missing file and an empty folder: exit 2, one line."""
    monkeypatch.chdir(tmp_path)
    result = give(*paths)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "there " in result.stderr


def test_one_result_is_not_enough(make_run: MakeRun) -> None:
    """A single run is named, and that two are needed."""
    result = give(make_run("one", LOW))
    assert result.exit_code == 2
    assert "needs two results or more" in result.stderr


def test_hostile_names_cannot_act_in_a_terminal(make_run: MakeRun) -> None:
    """Escape sequences, bells, overrides and line breaks of names and codes are shown, not sent."""
    update = {"checkpoint": HOSTILE}
    one = make_run("one", {HOSTILE: "eee"}, code=HOSTILE)
    two = make_run("two", {HOSTILE: "ccc"}, update=update)
    result = give(one, two)
    assert result.exit_code == 0
    assert not set("\x1b\x07\u202e\r") & set(result.stdout)
    assert "␛[2J" in result.stdout
    assert "\n# h" not in result.stdout


def test_hostile_names_cannot_act_in_markdown(make_run: MakeRun) -> None:
    """No link, no HTML, no mention, no code, and every table row keeps its eight cells."""
    update = {"checkpoint": HOSTILE}
    one = make_run("one", {HOSTILE: "eee"}, code=HOSTILE)
    result = give(one, make_run("two", {HOSTILE: "ccc"}, update=update), "--markdown")
    assert result.exit_code == 0
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(result.stdout)
    inner = [child.type for token in tokens for child in token.children or ()]
    assert not {"html_block", "html_inline", "link_open", "code_inline", "image"} & {
        *inner,
        *(token.type for token in tokens),
    }
    rows = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {9}
    assert "@me" not in result.stdout
    assert [t.tag for t in tokens if t.type == "heading_open"] == ["h3"]


def test_plain_names_stay_readable_in_markdown() -> None:
    """Names, numbers and sentences of ours are not turned into entities."""
    text = "step_200: parse_int 1/6 → 3/6, rustc 1.95.0 (≈), out/step_5 and 2 more"
    assert escaped(text) == text
    assert escaped("www.e.example") != "www.e.example"


def test_markdown_is_a_table_for_a_model_card(make_run: MakeRun) -> None:
    """A heading, the two runs as columns, the change with interval and p."""
    result = give(make_run("base", LOW), make_run("tuned", HIGH), "--markdown")
    lines = result.stdout.splitlines()
    assert lines[0] == "### tuned against base"
    assert lines[2] == "| | base | tuned | change | relative | 95 % interval | p | |"
    assert lines[4].startswith(
        "| compile rate, % | 16.7 | 86.7 | +70.0 | +420 % | +50.7 to +83.3 |"
    )
    assert lines[4].endswith("| &lt; 0.0001 | ↑ better |")


def test_several_runs_begin_with_an_overview(make_run: MakeRun) -> None:
    """With more than one comparison the compile rates come first, one line a run."""
    runs = [make_run(name, o) for name, o in (("one", LOW), ("two", HIGH), ("three", LOW))]
    lines = give(*runs).stdout.splitlines()
    assert lines[0].split()[:1] == ["run"]
    assert [line.split()[0] for line in lines[1:3]] == ["two", "three"]
    assert give(*runs, "--markdown").stdout.startswith("### Against one\n")
