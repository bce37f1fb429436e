"""What ratings say: a mean with its interval for each run, and the agreement of the raters.

Computed from ratings.jsonl whenever it is wanted, so that it is never older than the ratings.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean

from codebench.rating.agreement import ordinal_alpha
from codebench.rating.book import MAX_SCORE, MIN_SCORE, Answer, Rating, read_ratings
from codebench.results.parts import Described, MeanScore, Ratings
from codebench.results.reading import load_results
from codebench.stats import t_quantile
from codebench.store import SampleKey
from codebench.store.disk import write_atomically

ASPECTS = ("style", "idiom")
_CONFIDENCE = 0.95


class RunRatings(Described):
    """The ratings of one run."""

    run_dir: str
    """The run directory."""

    checkpoint: str
    """The checkpoint as the user named it."""

    step: int | None
    """Training step; null when nothing tells it."""

    n_programs: int
    """Programs with at least one rating."""

    n_ratings: int
    """Ratings, all raters together."""

    style: MeanScore
    """Names, layout and comments."""

    idiom: MeanScore
    """Whether things are said as the language says them."""


class Agreement(Described):
    """How far raters agree, over the programs of all runs."""

    n_programs: int
    """Programs that two raters or more have rated."""

    style: float | None
    """Krippendorff's alpha, ordinal: 1 is agreement, 0 is chance; null where it is undefined."""

    idiom: float | None
    """The same for idiom."""


class RatingSummary(Described):
    """All ratings of some runs."""

    raters: dict[str, int]
    """Number of ratings by rater."""

    runs: tuple[RunRatings, ...]
    """The runs that have ratings, in the order in which they were given."""

    agreement: Agreement
    """How far the raters agree."""


def rating_summary(run_dirs: Sequence[Path]) -> RatingSummary | None:
    """Return what the ratings of some runs say; None where there are none.

    Raises:
        UsageError: if ratings or results cannot be read; names the file.
    """
    rated = {run_dir: _rated(run_dir) for run_dir in run_dirs}
    everything = [rating for ratings in rated.values() for rating in ratings]
    if not everything:
        return None
    shared = [
        programs
        for ratings in rated.values()
        for programs in _by_program(ratings)
        if len(programs) > 1
    ]
    names = sorted({rating.rater for rating in everything})
    return RatingSummary(
        raters={name: sum(rating.rater == name for rating in everything) for name in names},
        runs=tuple(_run(run_dir, ratings) for run_dir, ratings in rated.items() if ratings),
        agreement=Agreement(
            n_programs=len(shared),
            style=ordinal_alpha([[_score(r, "style") for r in unit] for unit in shared]),
            idiom=ordinal_alpha([[_score(r, "idiom") for r in unit] for unit in shared]),
        ),
    )


def note_in_results(run_dir: Path) -> None:
    """Write what people said so far into the run's results.json.

    Raises:
        UsageError: if ratings or results cannot be read; names the file.
        EnvironmentProblem: if results.json cannot be written.
    """
    loaded, ratings = load_results(run_dir), _ratings(run_dir)
    if ratings != loaded.results.ratings:
        results = loaded.results.model_copy(update={"ratings": ratings})
        write_atomically(loaded.path, results.to_json())


def _ratings(run_dir: Path) -> Ratings | None:
    summary = rating_summary([run_dir])
    if summary is None:
        return None
    (run,), agreement = summary.runs, summary.agreement
    return Ratings(
        n_programs=run.n_programs,
        n_ratings=run.n_ratings,
        n_raters=len(summary.raters),
        style=run.style,
        idiom=run.idiom,
        style_agreement=agreement.style,
        idiom_agreement=agreement.idiom,
    )


def _rated(run_dir: Path) -> list[Rating]:
    return [one for one in read_ratings(run_dir).values() if one.answer is Answer.RATED]


def _run(run_dir: Path, ratings: list[Rating]) -> RunRatings:
    results = load_results(run_dir).results
    return RunRatings(
        run_dir=str(run_dir),
        checkpoint=results.checkpoint,
        step=results.step,
        n_programs=len(_by_program(ratings)),
        n_ratings=len(ratings),
        style=_mean(ratings, "style"),
        idiom=_mean(ratings, "idiom"),
    )


def _mean(ratings: Iterable[Rating], aspect: str) -> MeanScore:
    """Return the mean over programs, prompts being the units that were drawn.

    Source: Miller 2024, arXiv:2411.00640, section 2.2, as in `stats.clustered_interval`.
    """
    scores: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for program in _by_program(ratings):
        prompt = (program[0].prompt_set, program[0].prompt_id)
        scores[prompt].append(fmean(_score(rating, aspect) for rating in program))
    n, n_prompts = sum(map(len, scores.values())), len(scores)
    mean = sum(map(sum, scores.values())) / n
    residuals = [sum(of_prompt) - len(of_prompt) * mean for of_prompt in scores.values()]
    if n_prompts < 2 or max(map(abs, residuals)) < 1e-9:
        return MeanScore(mean=mean, low=None, high=None)
    error = sqrt(n_prompts / (n_prompts - 1) * sum(r * r for r in residuals)) / n
    half = t_quantile((1 + _CONFIDENCE) / 2, df=n_prompts - 1) * error
    return MeanScore(mean=mean, low=max(MIN_SCORE, mean - half), high=min(MAX_SCORE, mean + half))


def _by_program(ratings: Iterable[Rating]) -> list[list[Rating]]:
    programs: defaultdict[SampleKey, list[Rating]] = defaultdict(list)
    for rating in ratings:
        programs[rating.key].append(rating)
    return list(programs.values())


def _score(rating: Rating, aspect: str) -> int:
    score = getattr(rating, aspect)
    assert isinstance(score, int), "a rating has both scores"
    return score
