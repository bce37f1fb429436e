"""Ratings: what a person is shown, what is written, and how means and agreement come out."""

import os
import pty
import random
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
from click.testing import CliRunner, Result

from codebench.cli import main
from codebench.errors import UsageError
from codebench.prompts import load_prompt_set
from codebench.rating.agreement import ordinal_alpha
from codebench.rating.book import RATINGS_NAME, Answer, Rating, add_rating, read_ratings
from codebench.rating.choosing import chosen, order_for
from codebench.rating.summary import rating_summary
from codebench.results.reading import load_results
from codebench.store import utc_now

HOSTILE = '    return "\x1b]0;owned\x07\x1b[2J\u202e"\n'
LONG = "".join(f"    x{i} = {i}\n" for i in range(60))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with two real runs: three samples of each of four prompts."""
    folder = tmp_path_factory.mktemp("made")
    prompts = load_prompt_set("python-basics").prompts[:4]
    for name in ("five", "ten"):
        rows = [
            {"task_id": p.id, "completion": f"    return {i}  # {name}\n"}
            for p in prompts
            for i in range(3)
        ]
        (folder / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(r) + b"\n" for r in rows))
        done = CliRunner().invoke(
            main,
            [
                *("score", str(folder / f"{name}.jsonl"), "--prompts", "python-basics"),
                *("--sandbox", "none", "--no-tests"),
                *("--run-dir", str(folder / name), "--output", str(folder / "out.json")),
            ],
        )
        assert done.exit_code == 0, done.output
    return folder


class Runs(NamedTuple):
    """Two run directories without ratings."""

    five: Path
    ten: Path


@pytest.fixture
def runs(made: Path) -> Runs:
    """Give the two runs, with nothing rated yet."""
    found = Runs(made / "five", made / "ten")
    for path in found:
        (path / RATINGS_NAME).unlink(missing_ok=True)
    return found


def rate(runs: Runs, *words: str, keys: str = "") -> Result:
    """Run the command on both runs with keys as lines of stdin."""
    return CliRunner().invoke(main, ["rate", *map(str, runs), *words], input=keys)


def ratings_of(runs: Runs) -> list[Rating]:
    """Return every line that was written."""
    lines = [line for run in runs for line in _lines(run / RATINGS_NAME)]
    return [Rating.model_validate_json(line) for line in lines]


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines() if file.exists() else []


def test_alpha_of_the_published_example() -> None:
    """Krippendorff's own example (2011, section C: four coders, twelve units) gives 0.815."""
    coders = ["1 2 3 3 2 1 4 1 2 * * *", "1 2 3 3 2 2 4 1 2 5 * 3"]
    coders += ["* 3 3 3 2 3 4 2 2 5 1 *", "1 2 3 3 2 4 4 1 2 5 1 *"]
    columns = zip(*(row.split() for row in coders), strict=True)
    units = [[int(value) for value in column if value != "*"] for column in columns]
    alpha = ordinal_alpha(units)
    assert alpha is not None
    assert round(alpha, 3) == 0.815


def test_alpha_is_that_of_the_krippendorff_package() -> None:
    """On random scores with gaps our alpha equals that of the package."""
    krippendorff = pytest.importorskip("krippendorff")
    draw = random.Random(4)
    for _ in range(25):
        table = [[draw.choice([None, 1, 2, 3, 4, 5]) for _ in range(12)] for _ in range(3)]
        units = [[v for v in column if v is not None] for column in zip(*table, strict=True)]
        numbers = [[float("nan") if v is None else v for v in row] for row in table]
        theirs = krippendorff.alpha(reliability_data=numbers, level_of_measurement="ordinal")
        assert ordinal_alpha(units) == pytest.approx(theirs)


@pytest.mark.parametrize("units", [[], [[3], [4]], [[2, 2], [2, 2]]])
def test_alpha_is_undefined_without_a_difference(units: list[list[int]]) -> None:
    """One rater alone, or only one score, says nothing about agreement."""
    assert ordinal_alpha(units) is None


def test_alpha_of_full_agreement_and_of_opposites() -> None:
    """Raters who always agree get 1, raters who say the opposite get less than 0."""
    assert ordinal_alpha([[1, 1], [5, 5], [3, 3]]) == 1
    opposite = ordinal_alpha([[1, 5], [5, 1]])
    assert opposite is not None
    assert opposite < 0


def test_programs_are_spread_over_runs_and_prompts(runs: Runs) -> None:
    """Eight of 24 are one of each prompt and run; ten add one prompt of both runs."""
    loaded = [load_results(path) for path in runs]
    eight = chosen(loaded, n=8, seed=0)
    assert len({(one.run_dir, one.key.prompt_id) for one in eight}) == 8
    ten = chosen(loaded, n=10, seed=0)
    assert ten[:8] == eight
    assert {one.run_dir for one in ten[8:]} == set(runs)
    assert len({one.key.prompt_id for one in ten[8:]}) == 1
    assert len(chosen(loaded, n=100, seed=0)) == 24
    assert {one.key for one in chosen(loaded, n=8, seed=1)} != {one.key for one in eight}


def test_raters_see_the_same_programs_in_orders_of_their_own(runs: Runs) -> None:
    """Agreement needs the same programs; the order must not be the same for all."""
    programs = chosen([load_results(path) for path in runs], n=12, seed=0)
    ana, bo = (order_for(name, programs, seed=0) for name in ("ana", "bo"))
    assert set(ana) == set(bo) == set(programs)
    assert ana != bo
    assert ana == order_for("ana", programs, seed=0)


def test_scores_are_written_for_the_program_that_was_shown(runs: Runs) -> None:
    """Style comes first, idiom second; each answer is a line in the run that the program is of."""
    done = rate(runs, "--rater", "ana", "--n", "3", keys="42\ns\n15\n")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    programs = chosen([load_results(path) for path in runs], n=3, seed=0)
    order = order_for("ana", programs, seed=0)
    answers = [read_ratings(one.run_dir)["ana", one.key] for one in order]
    assert [(one.style, one.idiom) for one in answers] == [(4, 2), (None, None), (1, 5)]
    assert answers[1].answer is Answer.SKIPPED
    assert "ana: 3 of 3 answered\n" in done.stderr
    for number, one in enumerate(order, start=1):
        assert f"program {number} of 3 · python\n\n{one.program.rstrip()}\n" in done.stderr


def test_nothing_tells_where_a_program_is_from(runs: Runs) -> None:
    """Neither run, checkpoint, prompt set nor outcome is on the screen."""
    said = rate(runs, "--rater", "ana", "--n", "24", keys="33" * 24).stderr
    assert said.count("def ") >= 24
    for word in ("ten.jsonl", "five.jsonl", "python-basics", "compiled", str(runs.ten)):
        assert word not in said


def test_the_same_command_goes_on(runs: Runs) -> None:
    """What was answered is not asked again, and another rater begins at the beginning."""
    assert "ana: 2 of 5 answered; the same command goes on" in (
        rate(runs, "--rater", "ana", "--n", "5", keys="11 22 q").stderr
    )
    again = rate(runs, "--rater", "ana", "--n", "5", keys="33 44 55")
    assert "program 3 of 5" in again.stderr
    assert "program 2 of 5" not in again.stderr
    assert "ana: 5 of 5 answered\n" in again.stderr
    assert len({(one.key, one.style) for one in ratings_of(runs)}) == 5
    assert "program 1 of 5" in rate(runs, "--rater", "bo", "--n", "5", keys="q").stderr


def test_undo_takes_back_one_score_or_the_last_answer(runs: Runs) -> None:
    """`u` after style asks for style again; before it, it goes back to the program before."""
    done = rate(runs, "--rater", "ana", "--n", "4", keys="u 1u2 3 5 5 u 4 4 u u q")
    assert "ana: 0 of 4 answered" in done.stderr
    written = [(one.answer, one.style, one.idiom) for one in ratings_of(runs)]
    withdrawn = (Answer.WITHDRAWN, None, None)
    rated = [(Answer.RATED, *scores) for scores in ((2, 3), (5, 5), (4, 4))]
    assert sorted(written, key=str) == sorted([*rated, *[withdrawn] * 3], key=str)
    assert rating_summary(runs) is None


def test_keys_that_mean_nothing_change_nothing(runs: Runs) -> None:
    """0, 6, letters and signs are no scores."""
    rate(runs, "--rater", "ana", "--n", "1", keys="0 6 x ½ é 3 9 4")
    (one,) = ratings_of(runs)
    assert (one.style, one.idiom) == (3, 4)


def _give(run: Path, rater: str, place: tuple[str, int], style: int, idiom: int) -> None:
    one = Rating(
        rater=rater,
        prompt_set="python-basics",
        prompt_id=place[0],
        index=place[1],
        answer=Answer.RATED,
        style=style,
        idiom=idiom,
        timestamp=utc_now(),
    )
    add_rating(run, one)


def test_means_by_hand(runs: Runs) -> None:
    """Raters are averaged first: programs of 2 and 4, one in each of two prompts, give 3.

    The residuals are -1 and 1: error sqrt(2 / 1 * 2) / 2 = 1, times t(0.975, 1) = 12.706, cut to
    the scale.
    """
    _give(runs.ten, "ana", ("count_vowels", 0), 1, 3)
    _give(runs.ten, "bo", ("count_vowels", 0), 3, 3)
    _give(runs.ten, "ana", ("caesar_shift", 0), 4, 3)
    summary = rating_summary(runs)
    assert summary is not None
    (run,) = summary.runs
    assert (run.n_programs, run.n_ratings, run.style.mean) == (2, 3, 3.0)
    assert (run.style.low, run.style.high) == (1.0, 5.0)
    assert (run.idiom.mean, run.idiom.low) == (3.0, None)
    assert summary.raters == {"ana": 2, "bo": 1}
    assert (summary.agreement.n_programs, summary.agreement.idiom) == (1, None)


def test_an_interval_by_scipy(runs: Runs) -> None:
    """With one program a prompt the interval is Student's t of the scores."""
    stats = pytest.importorskip("scipy.stats")
    prompts = load_prompt_set("python-basics").prompts[:4]
    for prompt, score in zip(prompts, (3, 3, 4, 3), strict=True):
        _give(runs.five, "ana", (prompt.id, 0), score, score)
    summary = rating_summary([runs.five])
    assert summary is not None
    low, high = stats.t.interval(0.95, 3, 3.25, stats.sem([3, 3, 4, 3]))
    assert summary.runs[0].style.low == pytest.approx(low)
    assert summary.runs[0].style.high == pytest.approx(high)


def test_the_summary_is_printed_and_is_json(runs: Runs) -> None:
    """Numbers go to stdout: a table for people, JSON for programs."""
    for rater in ("ana", "bo"):
        assert rate(runs, "--rater", rater, "--n", "8", keys="12345" * 4).exit_code == 0
    shown = rate(runs, "--summary")
    assert shown.exit_code == 0
    assert "raters: ana 8, bo 8" in shown.stdout
    assert "over 8 programs" in shown.stdout
    found = orjson.loads(rate(runs, "--json").stdout)
    assert [run["n_programs"] for run in found["runs"]] == [4, 4]
    assert f"style {found['agreement']['style']:.2f}" in shown.stdout


def test_ratings_are_in_results_and_report(runs: Runs, tmp_path: Path) -> None:
    """After a sitting results.json holds the means, and the report's figures show them."""
    assert rate(runs, "--rater", "ann", "--n", "2", keys="5\n4\n5\n4\n").exit_code == 0
    rated = [load_results(run).results.ratings for run in runs]
    assert sum(one.n_ratings for one in rated if one) == 2
    scores = {(one.style.mean, one.idiom.mean, one.n_raters) for one in rated if one}
    assert scores == {(5.0, 4.0, 1)}
    page, readme = tmp_path / "r.html", tmp_path / "README.md"
    folder = str(runs.five if rated[0] else runs.ten)
    done = CliRunner().invoke(
        main, ["report", folder, "--output", str(page), "--update-readme", str(readme)]
    )
    assert done.exit_code == 0, done.output
    assert "style, 1 to 5" in page.read_text()
    assert "compile" in readme.read_text()


def test_no_ratings_yet(runs: Runs) -> None:
    """The summary of nothing is null for programs and a hint for people."""
    assert rate(runs, "--json").stdout == "null\n"
    assert "nothing is rated yet" in rate(runs, "--summary").stderr


def test_a_torn_line_is_cut_away(runs: Runs) -> None:
    """A crash while a line was written costs that line and no other."""
    _give(runs.ten, "ana", ("count_vowels", 0), 1, 3)
    with (runs.ten / RATINGS_NAME).open("ab") as file:
        file.write(b'{"rater": "an')
    assert len(read_ratings(runs.ten)) == 1
    _give(runs.ten, "ana", ("count_vowels", 1), 2, 3)
    assert sorted(one.style or 0 for one in read_ratings(runs.ten).values()) == [1, 2]


def test_a_damaged_line_is_named(runs: Runs) -> None:
    """A line that is no rating is told with its file and number, not passed over."""
    (runs.ten / RATINGS_NAME).write_bytes(b'{"style": 9}\n')
    with pytest.raises(UsageError, match=r"ratings\.jsonl, line 1 is no rating"):
        read_ratings(runs.ten)
    assert rate(runs, "--summary").exit_code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rater", " "], "--rater '' is no name"),
        (["--rater", "a\nb"], "is no name"),
        (["--n", "0"], "--n"),
        (["nowhere"], "there is no file or run directory nowhere"),
    ],
)
def test_bad_words_are_named(runs: Runs, words: list[str], told: str) -> None:
    """One line says what is wrong, with exit code 2."""
    done = rate(runs, *words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_results_without_samples_cannot_be_rated(runs: Runs, tmp_path: Path) -> None:
    """A results file that stands alone is refused, and a folder without runs too."""
    alone = tmp_path / "alone.json"
    alone.write_bytes((runs.ten / "results.json").read_bytes())
    for place in (alone, tmp_path):
        done = CliRunner().invoke(main, ["rate", str(place)])
        assert done.exit_code == 2
        assert "give run directories" in done.stderr


def _in_terminal(run: Path, keys: list[bytes], *, rows: int = 24) -> tuple[int, str]:
    """Run the command on a pseudo-terminal of 80 columns; return exit code and what it showed.

    A key is pressed when the question is there.
    """
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": str(rows)}
    words = [sys.executable, "-m", "codebench", "rate", str(run), "--rater", "ana", "--n", "2"]
    with subprocess.Popen(
        words, stdin=follower, stdout=follower, stderr=follower, env=env, start_new_session=True
    ) as process:
        os.close(follower)
        try:
            shown = _read(leader, until=b"quit")
            for key in keys[:-1]:
                os.write(leader, key)
                shown += _read(leader, until=b"quit")
            os.write(leader, keys[-1])
            shown += _read(leader, until=b"answered")
            process.wait(timeout=10)
        finally:
            process.kill()
    os.close(leader)
    return process.returncode, shown.decode(errors="replace")


def _read(fd: int, *, until: bytes) -> bytes:
    content, end = b"", time.monotonic() + 10
    while until not in content and time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                content += os.read(fd, 65536)
            except OSError:  # the other side is closed: the program has ended
                return content
    return content


@pytest.fixture
def hostile(runs: Runs, tmp_path: Path) -> Path:
    """Give a run with one program that is longer than the screen and full of control characters."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("manifest.json", "results.json"):
        (folder / name).write_bytes((runs.ten / name).read_bytes())
    first = orjson.loads(_lines(runs.ten / "samples.jsonl")[0])
    first["program"] = f"def f():\n{HOSTILE}{LONG}"
    (folder / "samples.jsonl").write_bytes(orjson.dumps(first) + b"\n")
    return folder


def test_a_terminal_takes_single_keys(hostile: Path) -> None:
    """Keys count without Enter, pages turn, and the terminal is given back at the end."""
    exit_code, shown = _in_terminal(hostile, [b" ", b"\x1b[A", b"4", b"2"])
    assert exit_code == 0
    (one,) = read_ratings(hostile).values()
    assert (one.style, one.idiom) == (4, 2)
    assert "lines 1-19 of 62" in shown
    assert "lines 20-38 of 62" in shown
    assert "x58" not in shown  # the third page was never turned to
    assert shown.count("\x1b[?1049h") == shown.count("\x1b[?1049l") == 1
    assert "ana: 1 of 1 answered" in shown


def test_a_program_cannot_act_on_the_terminal(hostile: Path) -> None:
    """Escapes, bells and overrides of a program are shown as pictures, never sent."""
    _, shown = _in_terminal(hostile, [b"q"])
    assert "␛]0;owned␇␛[2J⟨U+202E⟩" in shown
    for sent in ("\x1b]0;", "\x07", "\x1b[2J", "\u202e"):
        assert sent not in shown


def test_control_d_ends_the_sitting(hostile: Path) -> None:
    """One score alone is no rating: a rater who leaves after it has answered nothing."""
    exit_code, shown = _in_terminal(hostile, [b"3", b"\x04"])
    assert (exit_code, read_ratings(hostile)) == (0, {})
    assert "ana: 0 of 1 answered; the same command goes on" in shown
