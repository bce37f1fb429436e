"""The report as a file: its numbers, its size, and that nothing in it can act or be loaded."""

import base64
import hashlib
import random
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from codebench.cli import main
from codebench.languages.verdict import Outcome
from codebench.report.highlight import highlighted, utf16_units
from codebench.report.payload import embed_samples, script_json
from codebench.report.runs import gather
from codebench.results.parts import PromptTests, RunWarning
from codebench.store import SampleRecord
from codebench.visible import visible

WriteRun = Callable[..., Path]
MakePage = Callable[..., Path]
MakeSample = Callable[..., SampleRecord]

VENDOR = Path(__file__).parents[2] / "codebench" / "report" / "vendor"


class Parsed(HTMLParser):
    """The elements of a page, as a parser of HTML finds them."""

    def __init__(self, page: Path) -> None:
        """Read a page."""
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, list[str]] = {"style": [], "script": []}
        self.text = ""
        self._inside: str | None = None
        self.feed(page.read_text())
        self.text = " ".join(self.text.replace("\u202f", " ").split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in self.blocks else None
        if self._inside:
            self.blocks[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave a style or a script."""
        self._inside = None

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if self._inside:
            self.blocks[self._inside][-1] += data
        else:
            self.text += f" {data}"


def named(page: Path, tag: str) -> list[dict[str, str | None]]:
    """Return the attributes of every element with this name."""
    return [attributes for name, attributes in Parsed(page).elements if name == tag]


def test_the_command_writes_one_file_and_says_so(
    three_steps: tuple[Path, ...], tmp_path: Path
) -> None:
    """Exit 0, the file is there, stdout is empty, stderr names the file and what is in it."""
    output = tmp_path / "report.html"
    words = ["report", *map(str, three_steps), "--output", str(output)]
    answer = CliRunner().invoke(main, words)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout == ""
    assert "3 runs, 36 samples" in answer.stderr
    assert list(tmp_path.iterdir()) == [output]


def test_output_to_stdout_is_the_page_alone(three_steps: tuple[Path, ...]) -> None:
    """`--output -` gives the page and nothing else, so that it can be piped."""
    answer = CliRunner().invoke(main, ["report", str(three_steps[0]), "--output", "-"])
    assert answer.stdout.startswith("<!doctype html>")
    assert answer.stdout.endswith("</html>\n") or answer.stdout.endswith("</html>")


def test_the_main_numbers_stand_in_the_markup(page: Path) -> None:
    """Rate, interval, step and warnings can be read without running the script."""
    text = Parsed(page).text
    assert "83 % compile" in text
    assert "95 % interval 55–95 %, step 1000" in text
    assert "10 of 12 judged samples over 3 prompts" in text
    assert "12 samples are few" in text
    assert "mismatched types" in text


def test_a_change_within_chance_is_called_so(page: Path) -> None:
    """One more good sample of twelve is no difference that twelve samples can show."""
    text = Parsed(page).text
    assert "+8.3 points , no difference from step 500 that these samples can show" in text
    assert "samples each would show a change of this size" in text


def test_a_sure_change_is_called_better(
    write_run: WriteRun, make_page: MakePage, make_sample: MakeSample
) -> None:
    """From none of 60 to all of 60 is better, with its interval and p value."""
    none = [make_sample(n, outcome=Outcome.COMPILE_ERROR) for n in range(60)]
    every = [make_sample(n, outcome=Outcome.COMPILED) for n in range(60)]
    text = Parsed(make_page(write_run(1, none), write_run(2, every))).text
    assert "+100 points , better than step 1 (95 % interval" in text
    assert "p < 0.0001" in text


def test_prompts_by_steps_are_a_table_of_links(page: Path) -> None:
    """Each cell of the heat map leads to its samples by an address that says which."""
    targets = [link.get("href") for link in named(page, "a")]
    assert "#samples?run=500&prompt=small/two" in targets
    assert "#samples?run=500&code=E0308" in targets
    assert "#samples?run=500&show=compile_error" in targets


def test_codes_are_linked_to_their_explanation(page: Path) -> None:
    """E0308 leads to rustc's error index; what is no code of rustc's leads nowhere."""
    outside = {
        link["href"] for link in named(page, "a") if not (link["href"] or "").startswith("#")
    }
    assert outside == {"https://doc.rust-lang.org/error_codes/E0308.html"}


def test_the_policy_names_the_inline_blocks(page: Path) -> None:
    """The hashes of the policy are those of the one style and the one script that may act."""
    parsed = Parsed(page)
    policy = next(
        meta["content"] or ""
        for meta in named(page, "meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    *data, script = parsed.blocks["script"]
    (style,) = parsed.blocks["style"]
    for kind, block in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert len(data) == 2
    assert [one.get("type") for one in named(page, "script")] == ["application/json"] * 2 + [None]


@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_nothing_is_loaded(which: str, request: pytest.FixtureRequest) -> None:
    """No element, no style names anything outside of the file."""
    page: Path = request.getfixturevalue(which)
    parsed = Parsed(page)
    for tag, attributes in parsed.elements:
        assert not attributes.keys() & {"src", "srcset", "data", "action", "background", "poster"}
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert tag not in {"link", "iframe", "object", "embed", "base", "img", "video", "audio"}
    assert not re.search(r"url\(|@import|image-set", parsed.blocks["style"][0])


def test_hostile_texts_make_no_element(page: Path, hostile_page: Path) -> None:
    """A page full of hostile texts has no kind of element that a harmless page lacks."""
    harmless = {tag for tag, _ in Parsed(page).elements}
    hostile = {tag for tag, _ in Parsed(hostile_page).elements}
    assert hostile <= harmless | {"details", "summary"}
    assert len(named(hostile_page, "script")) == 3


def test_hostile_texts_become_visible(hostile_page: Path) -> None:
    """No control, override or separator is left in the file; symbols stand in their places."""
    text = hostile_page.read_text()
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\u2028]", text
    )
    assert "␛[31mred" in text
    assert "⟨U+202E⟩" in text


def test_no_text_ends_a_json_block() -> None:
    """`<` and the line separators of JavaScript are escaped, and the value is unchanged."""
    value = ["</script><!--", "\u2028\u2029", "é 漢 \U0001f600", None, 1.5]
    text = script_json(value)
    assert not re.search("[<\u2028\u2029]", text)
    assert orjson.loads(text) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\r\nb\rc", "a\nb␍c"),
        ("\x00\x1b\x7f\x85", "␀␛␡⟨U+0085⟩"),
        ("\u202eabc\u2069", "⟨U+202E⟩abc⟨U+2069⟩"),
        ("lone \ud800 and \U0001f600", "lone \ufffd and \U0001f600"),
        ("naïve 漢字 עברית", "naïve 漢字 עברית"),
    ],
)
def test_what_hides_or_acts_is_made_visible(text: str, shown: str) -> None:
    """Controls and overrides become symbols; letters of any script stay."""
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text", ["", "fn f() {}\n", 'let s = "\U0001f600é"; // 漢', '"unclosed\n\n', "}{" * 99]
)
def test_colours_cover_the_text(text: str) -> None:
    """The lengths of the runs add up to the text's length in JavaScript's units."""
    lengths = re.findall(r"[A-Z](\d+)", highlighted(text, "rust"))
    assert sum(map(int, lengths)) == utf16_units(text) == len(text.encode("utf-16-le")) // 2


def test_an_unknown_language_stays_plain() -> None:
    """Text in a language without a lexer is shown without colours."""
    assert highlighted("x", "no such language") == ""


def wild(make_sample: MakeSample, n: int, n_chars: int) -> list[SampleRecord]:
    """Return samples whose programs have nothing in common, so that they hardly compress."""
    draw = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789_(){};=+-*/<>&|! \n\"'"
    programs = ("".join(draw.choices(letters, k=n_chars)) for _ in range(n))
    return [make_sample(place, program=program) for place, program in enumerate(programs)]


@pytest.mark.parametrize(("n", "limit"), [(100, 1_000_000), (1_600, 4_000_000)])
def test_the_page_keeps_its_size(
    n: int, limit: int, write_run: WriteRun, make_page: MakePage, make_sample: MakeSample
) -> None:
    """Below 1 MB for 100 samples and 4 MB for 1,600, all shown, with programs of pure noise."""
    page = make_page(write_run(7, wild(make_sample, n, 800)))
    assert page.stat().st_size < limit
    assert "samples are in this file" not in Parsed(page).text


def test_what_does_not_fit_is_cut_then_left_out(
    write_run: WriteRun, make_sample: MakeSample
) -> None:
    """A small budget first shortens programs, then keeps the first samples of each prompt."""
    runs = gather([write_run(7, wild(make_sample, 30, 3_000))]).runs
    whole = embed_samples(runs)
    assert (whole.n_shown, whole.n_samples) == (30, 30)
    cut = embed_samples(runs, budget_bytes=60_000)
    assert cut.n_shown == 30
    assert cut.limit < whole.limit
    few = embed_samples(runs, budget_bytes=12_000)
    assert 0 < few.n_shown < 30
    assert len(few.json.encode()) <= 12_000


def test_a_program_of_a_megabyte_is_cut(hostile_page: Path) -> None:
    """A line of 1 MB costs 20,000 characters, and the page says how many are missing."""
    assert hostile_page.stat().st_size < 400_000
    assert "characters are cut" in Parsed(hostile_page).text


def test_results_alone_give_their_numbers(
    three_steps: tuple[Path, ...], tmp_path: Path, make_page: MakePage
) -> None:
    """Without samples.jsonl the numbers are there, and the page says why nothing else is."""
    alone = tmp_path / "alone.json"
    alone.write_bytes((three_steps[2] / "results.json").read_bytes())
    text = Parsed(make_page(alone)).text
    assert "83 % compile" in text
    assert "there is no samples.jsonl beside these results" in text


def test_samples_are_found_beside_results_that_were_copied_out(
    three_steps: tuple[Path, ...], tmp_path: Path
) -> None:
    """`--output results.json` beside `runs/RUN_ID/` is how runs are usually left."""
    results = tmp_path / "results.json"
    results.write_bytes((three_steps[2] / "results.json").read_bytes())
    run_id = orjson.loads(results.read_bytes())["run_id"]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / run_id).symlink_to(three_steps[2])
    (run,) = gather([results]).runs
    assert run.samples is not None
    assert len(run.samples) == 12


def test_a_folder_means_every_run_below_it(three_steps: tuple[Path, ...], tmp_path: Path) -> None:
    """Runs come by step; a file that cannot be read is left out and named."""
    for number, folder in enumerate(reversed(three_steps)):
        (tmp_path / f"run{number}").mkdir()
        for file in folder.iterdir():
            (tmp_path / f"run{number}" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "results_broken.json").write_text("{")
    gathered = gather([tmp_path])
    assert [run.key for run in gathered.runs] == ["100", "500", "1000"]
    assert len(gathered.broken) == 1
    assert "results_broken.json" in gathered.broken[0]


def test_runs_without_a_step_keep_their_names(write_run: WriteRun) -> None:
    """Where steps do not tell runs apart, names and numbers do."""
    info = {"step": None}
    runs = [write_run(n, [], changes={**info, "checkpoint": f"model_{n}"}) for n in (1, 2)]
    assert [run.label for run in gather(runs).runs] == ["model_1 (1)", "model_2 (2)"]


def test_unlike_runs_are_told_at_the_top(write_run: WriteRun, make_page: MakePage) -> None:
    """Another prompt set makes runs incomparable; the first warning says so."""
    changed = write_run(3, [])
    document = orjson.loads((changed / "results.json").read_bytes())
    document["prompt_sets"][0]["sha256"] = "bb"
    (changed / "results.json").write_bytes(orjson.dumps(document))
    page = make_page(changed, write_run(4, []))
    first = re.search(r'<li class="alarm">(.*?)</li>', page.read_text(), re.DOTALL)
    assert first
    assert "prompt set small is bb there, aa at step 4" in first[1]


def test_a_collapse_is_an_alarm(write_run: WriteRun, make_page: MakePage) -> None:
    """The warning of a collapsed step stands before the others, with its step."""
    said = RunWarning(code="collapse", message="90 of 100 completions repeat `{`")
    page = make_page(write_run(5, [], changes={"warnings": (said,)}))
    assert re.search(r'class="alarm"><b>step 5</b> 90 of 100 completions', page.read_text())


def test_tests_are_shown_where_they_ran(write_run: WriteRun, make_page: MakePage) -> None:
    """pass@k, a heat map of passed samples, and the headline's figure appear."""
    folder = write_run(6, [])
    document = orjson.loads((folder / "results.json").read_bytes())
    document["pass_at_k"] = {"1": 0.25, "10": 0.5}
    tests = dict.fromkeys(PromptTests.model_fields, 0)
    tests |= {"n_tests": 2, "judged": 8, "passed": 2, "pass_rate": 25}
    document["samples_by_prompt"][0]["tests"] = tests
    (folder / "results.json").write_bytes(orjson.dumps(document))
    text = Parsed(make_page(folder)).text
    assert "Samples that pass every test" in text
    assert "pass@1 0.25" in text


def test_a_torn_last_line_is_left_out(three_steps: tuple[Path, ...], tmp_path: Path) -> None:
    """A run that was killed while it wrote a sample shows the samples before it."""
    folder = copied(three_steps[0], tmp_path)
    with (folder / "samples.jsonl").open("ab") as file:
        file.write(b'{"prompt_set": "sm')
    (run,) = gather([folder]).runs
    assert run.samples is not None
    assert len(run.samples) == 12


def test_a_damaged_line_is_named(three_steps: tuple[Path, ...], tmp_path: Path) -> None:
    """A line that is no sample ends with exit 2 and one line that says which."""
    folder = copied(three_steps[0], tmp_path)
    lines = (folder / "samples.jsonl").read_bytes().splitlines(keepends=True)
    lines[1] = b"\x1b[31m\n"
    (folder / "samples.jsonl").write_bytes(b"".join(lines))
    answer = CliRunner().invoke(main, ["report", str(folder), "--output", str(tmp_path / "r.html")])
    assert answer.exit_code == 2
    assert "samples.jsonl, line 2 is no sample" in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert "\x1b" not in answer.stderr


def test_a_later_line_of_a_sample_wins(
    write_run: WriteRun, make_sample: MakeSample, tmp_path: Path
) -> None:
    """A sample that was tried again after an infra_error is shown once, as it ended."""
    folder = copied(write_run(8, [make_sample(0)]), tmp_path)
    first = make_sample(0, outcome=Outcome.INFRA_ERROR, error="disk").to_line()
    file = folder / "samples.jsonl"
    file.write_bytes(first + file.read_bytes())
    (run,) = gather([folder]).runs
    assert run.samples is not None
    assert [sample.outcome for sample in run.samples] == ["compiled"]


def copied(folder: Path, to: Path) -> Path:
    """Return a copy of a run directory that a test may damage."""
    copy = to / folder.name
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


@pytest.mark.parametrize("words", [["nowhere"], ["."], ["empty.json"]])
def test_bad_input_is_one_line(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such path, a folder without results, an empty file: exit 2, one line, no page."""
    monkeypatch.chdir(tmp_path)
    Path("empty.json").touch()
    answer = CliRunner().invoke(main, ["report", *words])
    assert answer.exit_code == 2
    assert answer.stderr.count("\n") == 1
    assert not Path("report.html").exists()


def test_the_origin_is_told_and_nothing_private(page: Path) -> None:
    """Fingerprint, prompt set, rustc and settings are there; folders of the machine are not."""
    text = Parsed(page).text
    for fact in ("f00d1000", "sha256 aa", "rustc 1.95.0", "temperature 0.8", "bubblewrap"):
        assert fact in text
    assert "/somebody" not in page.read_text()
    assert "out/private" not in page.read_text()


def test_the_same_input_gives_the_same_page(three_steps: tuple[Path, ...]) -> None:
    """But for the time that it was made, a page follows from its input."""
    from codebench.report.page import render

    pages = [render(gather(three_steps), target=80, made="now").content for _ in range(2)]
    assert pages[0] == pages[1]


def test_vendored_files_are_unchanged() -> None:
    """What came from npm is byte for byte what its line of SHA256SUMS says, licence included."""
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    sums = {name: digest for digest, name in pairs}
    assert set(sums) == {"uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE"}
    for name, digest in sums.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_the_licence_of_the_charts_travels_with_the_page(page: Path) -> None:
    """MIT asks for its text in every copy."""
    licence = (VENDOR / "uPlot.LICENSE").read_text().strip()
    assert licence in page.read_text()
