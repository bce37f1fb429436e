"""Every export is read back by the tool that it is meant for."""

import csv
import io
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pandas as pd  # type: ignore[import-untyped]
import pytest
import yaml
from click.testing import CliRunner
from huggingface_hub import EvalResultEntry, ModelCard, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results
from junitparser import Error, Failure, JUnitXml
from markdown_it import MarkdownIt
from PIL import Image

from codebench.analysis.metrics import CodeMetrics
from codebench.cli import main
from codebench.commands.perform import Asked, asked_of, perform
from codebench.errors import EnvironmentProblem, UsageError
from codebench.export import FORMAT_NAMES
from codebench.export.formats import FORMATS
from codebench.export.github import MAX_BYTES, annotations, github_summary
from codebench.export.markdown import code, plain
from codebench.export.readme import END, START, readme_section, update_readme
from codebench.export.series import mean_bounds, picture_of
from codebench.export.summary_csv import summary_csv
from codebench.extract import Extraction, ExtractMode
from codebench.languages.verdict import Diagnostic, DiagnosticLevel, Outcome
from codebench.plan import Plan, PlannedPrompt
from codebench.prompts import load_prompt_set
from codebench.prompts.model import Language, Prompt, PromptSet
from codebench.results import Aggregator, Results, RunFacts, RunTiming, RunWarning
from codebench.results.reading import Loaded, load_results
from codebench.run_config import RunConfig
from codebench.sampling.completion import FinishReason, SamplingParams
from codebench.sampling.foreign import read_foreign
from codebench.sandbox.choose import SandboxKind
from codebench.source import samples_source
from codebench.store import (
    CheckpointInfo,
    Environment,
    Manifest,
    PromptSetInfo,
    RunIdentity,
    SampleRecord,
    SampleTimes,
)

HOSTILE = '=HYPERLINK("http://x")|`<b>\x1b[31m\x00\u202e&]]>'
PROMPT_SET = PromptSet(
    name="set",
    version="3",
    language=Language.RUST,
    description="d",
    sha256="aa" * 32,
    prompts=tuple(
        Prompt(
            id=name,
            language=Language.RUST,
            category="basics",
            item=f"fn {name}",
            prompt=f"fn {name}() {{",
            reference=" 1 }",
            wrong="}",
            tests=("assert!(true);",),
        )
        for name in ("first", "second")
    ),
)
ENVIRONMENT = Environment(
    rustc="rustc 1.95.0 (5980 2026-04-14)\nhost: x",
    python="3.11.2",
    image=None,
    sandbox="bubblewrap",
    isolation="namespaces",
    n_slots=2,
    packages={"codebench": "0.1.0", "transformers": "5.0.0"},
    host={"cores": 2},
    git={"commit": "abc", "dirty": False},
    sampler={"device": "cpu", "rows": 8},
)


def _record(prompt_id: str, index: int, outcome: Outcome, said: str = "") -> SampleRecord:
    error = Diagnostic(level=DiagnosticLevel.ERROR, code="E0308", message=said, line=2, column=1)
    prompt = f"fn {prompt_id}() {{"
    return SampleRecord(
        prompt_set="set",
        prompt_id=prompt_id,
        language=Language.RUST,
        index=index,
        seed=10 + index,
        prompt=prompt,
        completion=f" {index} }} trailing",
        finish_reason=FinishReason.BALANCED,
        n_tokens=4,
        extraction=Extraction.CONTINUATION_BALANCED,
        program=f"{prompt} {index} }}\n",
        outcome=outcome,
        diagnostics=(error,) if said else (),
        metrics=CodeMetrics(lines=1, functions=1, complexity=1, items=(), parses=True),
        times=SampleTimes(generation_ms=500, compile_ms=250, queue_ms=0),
        error="slot died" if outcome is Outcome.INFRA_ERROR else None,
    )


RECORDS = (
    _record("first", 0, Outcome.PASSED),
    _record("first", 1, Outcome.COMPILE_ERROR, said=f"{HOSTILE}\nmore"),
    _record("first", 2, Outcome.INFRA_ERROR),
    _record("second", 0, Outcome.FAILED_TESTS),
    _record("second", 1, Outcome.COMPILE_ERROR, said="mismatched types"),
    _record("second", 2, Outcome.PASSED),
)


def _results(
    step: int | None,
    records: tuple[SampleRecord, ...],
    *,
    checkpoint: str = "",
    warnings: tuple[RunWarning, ...] = (),
) -> Results:
    info = PromptSetInfo(
        name="set", version="3", language=Language.RUST, n_prompts=2, sha256="aa" * 32
    )
    manifest = Manifest(
        run_id=f"run-{step}",
        created="2026-11-21T08:00:00Z",
        identity=RunIdentity(
            checkpoint="f",
            prompt_sets={"set": "aa"},
            sampling=SamplingParams(),
            seed=0,
            extract="auto",
        ),
        checkpoint=checkpoint or f"step_{step}",
        checkpoint_info=CheckpointInfo(path="x", format="huggingface", fingerprint="f", step=step),
        prompt_sets=(info,),
        environment=ENVIRONMENT,
    )
    aggregator = Aggregator([PROMPT_SET], runs_tests=True)
    for record in records:
        aggregator.add(record)
    timing = RunTiming(
        wall_s=10, startup_s=1, compiling_s=1, queue_s=0, n_resumed_samples=0, sampler=None
    )
    facts = RunFacts(
        timestamp="2026-11-21T09:00:00Z",
        n_samples=6,
        environment=ENVIRONMENT,
        timing=timing.results(),
        warnings=warnings,
    )
    return aggregator.finish(manifest, facts)


def _run(folder: Path, step: int | None = 10, checkpoint: str = "") -> Loaded:
    """Write a run directory as `codebench run` leaves it."""
    folder.mkdir(parents=True)
    again = _record("first", 2, Outcome.COMPILED)  # tried again: the later line counts
    lines = [record.to_line() for record in (*RECORDS, again)]
    (folder / "samples.jsonl").write_bytes(b"".join(lines) + b'{"torn')
    judged = (*(record for record in RECORDS if record.outcome.judged), again)
    results = _results(step, judged, checkpoint=checkpoint)
    (folder / "results.json").write_bytes(results.to_json())
    return load_results(folder)


@pytest.fixture
def run(tmp_path: Path) -> Loaded:
    """Give one run with its samples: 3 of 6 compiled fully, one failed tests, two errors."""
    return _run(tmp_path / "run")


def _steps(*steps: int | None) -> list[Loaded]:
    return [
        Loaded(results=_results(step, RECORDS), path=Path(f"{step}.json"), run_dir=None)
        for step in steps
    ]


def test_the_help_names_every_format() -> None:
    """The names that the command line knows are the formats that there are."""
    assert tuple(FORMATS) == FORMAT_NAMES


def test_csv_is_read_by_pandas(run: Loaded) -> None:
    """One row for the run and one a prompt; numbers are numbers and agree with results.json."""
    frame = pd.read_csv(io.BytesIO(summary_csv([run])))
    assert list(frame["scope"]) == ["run", "prompt", "prompt"]
    assert list(frame["prompt_id"][1:]) == ["first", "second"]
    for column in ("compile_success_rate", "compile_success_rate_low", "pass_at_1", "avg_lines"):
        assert frame[column].dtype == float
    total = frame.iloc[0]
    wilson = run.results.intervals.compile_success_rate.wilson
    assert wilson is not None
    assert total["compile_success_rate"] == run.results.compile_success_rate
    assert total["compile_success_rate_high"] == wilson.high
    assert total["pass_at_1"] == run.results.pass_at_k["1"]
    assert frame["judged"][1:].sum() == total["judged"] == 6


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "＝"])
def test_a_cell_that_looks_like_a_formula_is_harmless(start: str) -> None:
    """What a spreadsheet would run begins with a quote; negative numbers stay numbers."""
    results = _results(-5, RECORDS[:1], checkpoint=f"{start}1+1")
    content = summary_csv([Loaded(results=results, path=Path("x"), run_dir=None)])
    row = next(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert row["checkpoint"] == f"'{start}1+1".replace("\r", "\n")
    assert row["step"] == "-5"


def test_no_cell_of_a_hostile_run_begins_a_formula(tmp_path: Path) -> None:
    """Texts of the model, of the compiler and of the user are all made harmless."""
    run = _run(tmp_path / "run", checkpoint=HOSTILE)
    for row in csv.reader(io.StringIO(summary_csv([run]).decode(), newline="")):
        assert not any(cell.lstrip().startswith(("=", "+", "@")) for cell in row)
        assert not any("\0" in cell for cell in row)


def test_junit_is_read_by_junitparser(run: Loaded, tmp_path: Path) -> None:
    """A case a sample: failures are the model's, errors ours, and the messages are there."""
    (tmp_path / "junit.xml").write_bytes(FORMATS["junit"].write([run]))
    suites = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    (suite,) = suites
    assert (suite.tests, suite.failures, suite.errors) == (6, 3, 0)
    cases = {case.name: case for case in suite}
    assert set(cases) == {f"{name}[{i}]" for name in ("first", "second") for i in range(3)}
    (failure,) = cases["second[1]"].result
    assert isinstance(failure, Failure)
    assert (failure.type, failure.message) == (
        "compile_error",
        "error[E0308]: mismatched types",
    )
    assert "line 2: error[E0308]: mismatched types" in failure.text
    assert cases["second[1]"].system_out == "fn second() { 1 }\n"
    assert cases["first[2]"].result == []
    assert cases["first[0]"].time == 0.75


def test_junit_says_what_we_could_not_judge(run: Loaded) -> None:
    """An infra_error is an error with our reason, not a failure of the model."""
    assert run.run_dir is not None
    (run.run_dir / "samples.jsonl").write_bytes(RECORDS[2].to_line())
    suites = JUnitXml.fromstring(FORMATS["junit"].write([run]))
    (suite,) = suites
    (case,) = suite
    (error,) = case.result
    assert isinstance(error, Error)
    assert error.message == "slot died"


def test_junit_carries_hostile_text_as_text(run: Loaded) -> None:
    """Control characters and markup of a program give a document that parses, text intact."""
    root = ET.fromstring(FORMATS["junit"].write([run]))
    failure = root.find(".//testcase[@name='first[1]']/failure")
    assert failure is not None
    assert '=HYPERLINK("http://x")|`<b>\ufffd[31m\ufffd' in failure.attrib["message"]


def test_predictions_are_read_by_pandas_and_judged_again(run: Loaded, tmp_path: Path) -> None:
    """Prompt + completion is the program, pass and fail are told, and `score` reads the file."""
    file = tmp_path / "predictions.jsonl"
    file.write_bytes(FORMATS["predictions"].write([run]))
    frame = pd.read_json(file, lines=True)
    assert list(frame["result"]) == [
        *("passed", "compile_error", "failed_tests", "compile_error", "passed", "compiled")
    ]
    passed = [orjson.loads(line)["passed"] for line in file.read_bytes().splitlines()]
    assert passed == [True, False, False, False, True, None]  # no test was run for the last
    assert (frame["prompt"] + frame["completion"]).iloc[0] == "fn first() { 0 }\n"
    foreign = read_foreign(file, (PROMPT_SET,))
    assert foreign.counts == {("set", "first"): 3, ("set", "second"): 3}


def test_model_index_is_read_by_the_hub(run: Loaded, tmp_path: Path) -> None:
    """As the front matter of a model card it gives the same numbers to huggingface_hub."""
    index = FORMATS["hf-model-index"].write([run]).decode()
    (tmp_path / "README.md").write_text(f"---\n{index}---\n# Model\n")
    card = ModelCard.load(tmp_path / "README.md")
    name, found = model_index_to_eval_results(yaml.safe_load(index)["model-index"])
    assert name == card.data.model_name == "step_10"
    values = {result.metric_type: result.metric_value for result in found}
    assert values["compile_success_rate"] == round(run.results.compile_success_rate or 0, 2)
    assert values["pass@1"] == round(run.results.pass_at_k["1"], 4)
    assert {result.dataset_name for result in card.data.eval_results or []} == {"set"}


def test_eval_results_are_read_by_the_hub() -> None:
    """Each run is an entry with its main number, a date that stays text, and the interval."""
    content = yaml.safe_load(FORMATS["hf-eval-results"].write(_steps(20, 10)))
    entries = parse_eval_result_entries(content)
    assert all(isinstance(entry, EvalResultEntry) for entry in entries)
    assert [entry.task_id for entry in entries] == ["pass@1", "pass@1"]
    assert [entry.date for entry in entries] == ["2026-11-21T09:00:00Z"] * 2
    assert entries[0].notes is not None
    assert re.match(r"step_10; compiles 60.0 % \(23.1 to 88.2\); 5 samples", entries[0].notes)


def test_lm_eval_has_the_shape_of_its_results(run: Loaded) -> None:
    """A task a prompt set, keys with a filter, fractions, and higher_is_better for each."""
    content = orjson.loads(FORMATS["lm-eval"].write([run]))
    task = content["results"]["set"]
    assert task["compile_rate,none"] == pytest.approx(4 / 6)
    assert 0.1 < task["compile_rate_stderr,none"] < 0.25
    assert task["pass@1,none"] == run.results.pass_at_k["1"]
    assert set(content["higher_is_better"]["set"]) == {"compile_rate", "pass@1"}
    assert content["n-samples"]["set"] == {"original": 2, "effective": 2}
    assert isinstance(content["date"], float)
    assert isinstance(content["total_evaluation_time_seconds"], str)
    assert {"configs", "versions", "n-shot", "config", "git_hash", "model_name"} <= set(content)


@pytest.mark.parametrize("name", ["lm-eval", "hf-model-index"])
def test_a_file_of_one_run_refuses_several(name: str) -> None:
    """A format that holds one run says so, instead of leaving the others out."""
    with pytest.raises(UsageError, match="one run, and 2 were given"):
        FORMATS[name].write(_steps(1, 2))


@pytest.mark.parametrize("name", ["junit", "predictions"])
def test_a_format_of_samples_says_that_they_are_missing(name: str) -> None:
    """Results that stand alone have no samples, and the message says what to give."""
    with pytest.raises(UsageError, match=r"1\.json stands alone: give the run directory"):
        FORMATS[name].write(_steps(1))


@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_opens(*, dark: bool) -> None:
    """The PNG is a picture of the promised width, drawn on its own opaque background."""
    from codebench.export.plot import png

    with Image.open(io.BytesIO(png(_steps(20, 200, 2000), dark=dark))) as image:
        assert image.format == "PNG"
        assert image.size == (1280, 1440)  # tests ran: two panels
        corner = image.convert("RGBA").getpixel((1, 1))
    assert corner == ((13, 17, 23, 255) if dark else (255, 255, 255, 255))


def test_a_picture_says_its_numbers_in_words() -> None:
    """The SVG keeps its text, names the steps, and is the same bytes each time."""
    from codebench.export.plot import svg

    content = svg(_steps(20, 200, 2000))
    assert content == svg(_steps(20, 200, 2000))
    texts = [
        text.text or "" for text in ET.fromstring(content).iter("{http://www.w3.org/2000/svg}text")
    ]
    for wanted in ("Programs that compile", "60 %", "2,000", "training step (logarithmic)"):
        assert wanted in texts
    assert any("5 samples over 2 prompts (set); hollow" in text for text in texts)


@pytest.mark.parametrize("steps", [(7,), (None, None), (5, 5), (0, 10), (1, 2, 3, 4, 5)])
def test_odd_steps_can_be_drawn(steps: tuple[int | None, ...]) -> None:
    """One run, no steps, the same step twice and step 0 give a picture without a warning."""
    from codebench.export.plot import svg

    assert svg(_steps(*steps)).startswith(b"<?xml")


def test_names_with_mathematics_are_drawn_as_they_are() -> None:
    r"""A checkpoint called `$\frac{$` is a name, not a formula that fails."""
    from codebench.export.plot import svg

    loaded = Loaded(
        results=_results(None, RECORDS, checkpoint=r"$\frac{$_^"), path=Path("x"), run_dir=None
    )
    assert rb"$\frac{$_^" in svg([loaded])


def test_a_picture_shows_partial_and_collapsed_runs() -> None:
    """A run with samples missing is hollow, one that writes no code is marked, none is dropped."""
    broken = tuple(
        record.model_copy(update={"completion": " {" * 100, "index": index})
        for index, record in enumerate(RECORDS[:1] * 6)
    )
    collapsed = Loaded(results=_results(1, broken), path=Path("x"), run_dir=None)
    picture = picture_of([*_steps(2), collapsed])
    first, second = picture.compiles.points
    assert first is not None
    assert second is not None
    assert (first.collapsed, first.whole) == (True, True)
    assert (second.collapsed, second.whole) == (False, False)


def test_mean_bounds_by_hand() -> None:
    """Of 0, 0.5 and 1: 0.5 plus or minus t(2) * 0.5 / sqrt(3), clipped; equal values have none."""
    assert mean_bounds([0.4, 0.5, 0.6]) == pytest.approx(
        (0.5 - 4.302653 * 0.1 / 3**0.5, 0.5 + 4.302653 * 0.1 / 3**0.5)
    )
    assert mean_bounds([0, 0.5, 1]) == (0, 1)
    assert mean_bounds([1, 1]) is None
    assert mean_bounds([0.5]) is None


def test_plots_say_what_they_need() -> None:
    """Without matplotlib the message is the pip line, and exit code 3."""
    script = """
import sys
sys.modules["matplotlib"] = None
from codebench.errors import EnvironmentProblem
from codebench.export.plot import png
try:
    png([])
except EnvironmentProblem as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout == "plots need matplotlib: pip install 'codebench[plots]'\n"


def test_github_summary_is_a_page_with_a_table() -> None:
    """Read as GitHub reads it: one table of runs, one of prompts, a warning, no markup of ours."""
    warning = RunWarning(code="collapse", message=f"of {HOSTILE}")
    loaded = [
        Loaded(results=_results(step, RECORDS, warnings=(warning,)), path=Path("x"), run_dir=None)
        for step in (5, 10)
    ]
    content = github_summary(loaded).decode()
    html = MarkdownIt("commonmark").enable("table").render(content)
    assert html.count("<table>") == 2
    assert "<b>" not in html
    assert "HYPERLINK" in html
    assert content.count("> [!WARNING]") >= 2
    rows = re.findall(r"<tr>\s*<td[^>]*>(\d+)</td>", html)
    assert rows == ["5", "10"]


def test_github_summary_stays_below_its_limit() -> None:
    """A thousand runs with long warnings are cut, and the file says so."""
    warning = RunWarning(code="w", message="é" * 5000)
    results = _results(1, RECORDS, warnings=(warning,))
    content = github_summary([Loaded(results=results, path=Path("x"), run_dir=None)] * 300)
    assert len(content) <= MAX_BYTES
    assert content.decode().endswith("(cut: a summary holds 1 MiB)\n")


def test_annotations_are_single_commands() -> None:
    """Line ends and percent signs are escaped, and no more than GitHub shows are printed."""
    warnings = tuple(RunWarning(code="a,b:c", message="100 %\r\n::error::x") for _ in range(20))
    results = _results(1, RECORDS, warnings=warnings)
    lines = annotations([Loaded(results=results, path=Path("x"), run_dir=None)])
    assert len(lines) == 10
    title = "codebench step 1%3A a%2Cb%3Ac"
    assert lines[0] == f"::warning title={title}::100 %25%0D%0A::error::x"


@pytest.mark.parametrize("text", [HOSTILE, "a|b", "`x`", "``", "*a* _b_ [c](d)", "<i>", "\\|"])
def test_markdown_shows_text_as_it_is(text: str) -> None:
    """In a cell, as text and as code, foreign text stays in its cell and starts no markup."""
    content = f"| h | i |\n| --- | --- |\n| {plain(text)} | {code(text)} |\n"
    html = MarkdownIt("commonmark").enable("table").render(content)
    assert html.count("<td>") == 2
    for tag in ("<em>", "<a ", "<b>", "<i>", "<strong>"):
        assert tag not in html


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_readme_keeps_all_but_its_section(tmp_path: Path, newline: str) -> None:
    """The section comes at the end, is replaced in place, and all else stays byte for byte."""
    path = tmp_path / "README.md"
    before = f"---{newline}license: mit{newline}---{newline}# Model é{newline}"
    path.write_bytes(before.encode())
    update_readme(path, [_results(5, RECORDS)])
    once = path.read_bytes().decode()
    assert once.startswith(before)
    assert (once.count(START), once.count(END)) == (1, 1)
    assert once.count("\n") == once.count(newline)
    path.write_bytes((once + f"after{newline}").encode())
    update_readme(path, [_results(20, RECORDS), _results(5, RECORDS)])
    twice = path.read_bytes().decode()
    assert twice.startswith(before)
    assert twice.endswith(f"{END}{newline}after{newline}")
    assert [row[:4] for row in twice.split(newline) if re.match(r"\| \d", row)] == ["| 5 ", "| 20"]
    update_readme(path, [_results(5, RECORDS), _results(20, RECORDS)])
    assert path.read_bytes().decode() == twice


@pytest.mark.parametrize("text", [START, END, f"{END}\n{START}", f"{START}{END}{START}{END}"])
def test_a_readme_with_half_a_section_is_left_alone(tmp_path: Path, text: str) -> None:
    """Comments that are no pair are an error that says what must be there; nothing is written."""
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"README.md must hold"):
        update_readme(path, [_results(5, RECORDS)])
    assert path.read_text() == text


def test_a_warning_cannot_end_the_section(tmp_path: Path) -> None:
    """Text of a model that holds our comment does not split the file at the next update."""
    warning = RunWarning(code="collapse", message=f"repeats {END} {START}")
    path = tmp_path / "README.md"
    for _ in range(2):
        update_readme(path, [_results(5, RECORDS, warnings=(warning,))])
    assert (path.read_text().count(START), path.read_text().count(END)) == (1, 1)
    assert readme_section(_steps(1)).startswith(START.encode())


def _export(*words: str) -> tuple[int, bytes, str]:
    result = CliRunner().invoke(main, ["export", *words])
    return result.exit_code, result.stdout_bytes, result.stderr


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_the_command_writes_every_format(run: Loaded, tmp_path: Path, name: str) -> None:
    """A run directory in, a file out, nothing said; the same bytes on stdout."""
    file = tmp_path / "out"
    assert _export(str(run.run_dir), "--to", name, "--output", str(file)) == (0, b"", "")
    code_, content, said = _export(str(run.run_dir), "--to", name)
    assert (code_, said) == (0, "")
    assert content.rstrip() == file.read_bytes().rstrip()


def test_the_command_takes_a_folder_of_runs(tmp_path: Path) -> None:
    """All results below a folder are exported, lowest step first; a broken one is named."""
    for step in (300, 20):
        _run(tmp_path / "runs" / f"s{step}", step)
    (tmp_path / "runs" / "results_x.json").write_text("{")
    exit_code, content, said = _export(str(tmp_path / "runs"), "--to", "csv")
    frame = pd.read_csv(io.BytesIO(content))
    assert exit_code == 0
    assert list(frame["step"].unique()) == [20, 300]
    assert said.startswith("left out: ")


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["nowhere.json", "--to", "csv"], 2, "there is no file or run directory nowhere.json"),
        ([".", "--to", "csv"], 2, "no results below ."),
        (["RUN", "--to", "csv", "--output", "no/such/x"], 3, "there is no folder no/such"),
        (["RUN", "--to", "csv", "--dark"], 2, "--dark is for pictures"),
        (["RUN", "--to", "xml"], 2, "'xml' is not one of 'csv'"),
        (["RUN"], 2, "Missing option '--to'"),
    ],
)
def test_bad_words_are_one_line(
    run: Loaded,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    exit_code: int,
    said: str,
) -> None:
    """Each mistake is named in one line, with its exit code."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    words = [str(run.run_dir) if word == "RUN" else word for word in words]
    found_code, content, found = _export(*words)
    assert (found_code, content) == (exit_code, b"")
    assert found.count("\n") == 1
    assert said in found


def test_github_adds_to_its_own_file(
    run: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of GITHUB_STEP_SUMMARY keeps what is there, and warnings become annotations."""
    summary = tmp_path / "summary.md"
    summary.write_text("earlier\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    warned = run.results.model_copy(update={"warnings": (RunWarning(code="w", message="m"),)})
    (tmp_path / "results.json").write_bytes(warned.to_json())
    words = (str(tmp_path / "results.json"), "--to", "github", "--output", str(summary))
    assert _export(*words) == (0, b"::warning title=codebench step 10%3A w::m\n", "")
    assert summary.read_text().startswith("earlier\n## codebench\n")


def test_a_damaged_line_is_named(run: Loaded) -> None:
    """A samples.jsonl that is no longer one is refused with file and line."""
    assert run.run_dir is not None
    with (run.run_dir / "samples.jsonl").open("ab") as file:
        file.write(b"\n")
    exit_code, _, said = _export(str(run.run_dir), "--to", "junit")
    assert exit_code == 2
    assert "samples.jsonl, line 8 is no sample" in said


def test_files_that_a_run_shall_write_are_checked_first(tmp_path: Path) -> None:
    """`--junit` in a folder that is not there is refused before anything is sampled."""
    options: dict[str, object] = {
        "summary_csv": None,
        "junit": tmp_path / "no" / "x.xml",
        "fail_on_collapse": False,
        "log_to": (),
        "log_project": None,
    }
    with pytest.raises(EnvironmentProblem, match=r"--junit .*there is no folder"):
        asked_of(options)
    options["junit"] = tmp_path / "x.xml"
    assert asked_of(options) == Asked(files=(("junit", tmp_path / "x.xml"),))


@pytest.mark.bubblewrap
@pytest.mark.parametrize(("completion", "exit_code"), [(" {" * 100, 1), (None, 0)])
def test_a_run_writes_what_was_asked_and_gates_on_collapse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], completion: str | None, exit_code: int
) -> None:
    """A collapsed model ends with exit code 1 and its brace named, after every file is written."""
    basics = load_prompt_set("python-basics")
    prompts = basics.prompts[:8]
    file = tmp_path / "samples.jsonl"
    rows = [{"task_id": p.id, "completion": completion or p.reference} for p in prompts]
    file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    foreign = read_foreign(file, (basics,))
    planned = tuple(PlannedPrompt(prompt_set=basics.name, prompt=p, n_samples=1) for p in prompts)
    config = RunConfig(
        prompts=("python-basics",),
        n_samples=8,
        extract=ExtractMode.RAW,
        sandbox=SandboxKind.BUBBLEWRAP,
        run_dir=tmp_path / "run",
    )
    asked = Asked(
        files=(("csv", tmp_path / "s.csv"), ("junit", tmp_path / "j.xml")), fail_on_collapse=True
    )
    found = perform(
        config,
        samples_source(file, foreign),
        (basics,),
        Plan(planned, 0),
        str(tmp_path / "out.json"),
        asked=asked,
    )
    said = capsys.readouterr().err
    assert found == exit_code, said
    results = Results.model_validate_json((tmp_path / "out.json").read_bytes())
    assert len(pd.read_csv(tmp_path / "s.csv")) == 9
    assert sum(suite.tests for suite in JUnitXml.fromfile(str(tmp_path / "j.xml"))) == 8
    assert bool(results.degeneration.collapse) is bool(exit_code)
    told = (
        "collapse: the model does not write code: 8 of 8 completions repeat themselves, mostly `{`"
    )
    assert (told in " ".join(said.split())) is bool(exit_code)
    assert ("(--fail-on-collapse)" in said) is bool(exit_code)
