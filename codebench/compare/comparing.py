"""Compare runs with a base: numbers, prompts that flipped, error codes, settings that changed."""

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from codebench.compare.changes import PromptPair, change_of, shared_prompts
from codebench.compare.metrics import MAIN, METRICS, Good
from codebench.compare.model import (
    CodeChange,
    Comparison,
    ComparisonReport,
    MetricChange,
    PromptFlip,
    SamplePairs,
    Setting,
    Side,
    Verdict,
)
from codebench.compare.pairing import PairedOutcomes, paired_outcomes
from codebench.compare.settings import changed_settings
from codebench.errors import UsageError
from codebench.results.model import Results
from codebench.results.parts import PromptResults
from codebench.results.reading import Loaded
from codebench.stats.comparison import Table, cmh_p, holm

ALPHA = 0.05


def compare(runs: Sequence[Loaded], *, force: bool = False) -> ComparisonReport:
    """Compare each run with the first.

    Args:
        runs: the base and at least one other run.
        force: compare runs whose settings make their numbers incomparable too.

    Raises:
        UsageError: if there is nothing to compare with, if the runs have no prompt in common, or if
            settings differ that decide what the numbers mean (names them), unless `force`.
    """
    if len(runs) < 2:
        found = f"only {runs[0].path}" if runs else "none"
        raise UsageError(f"compare needs two results or more, the base first; found {found}")
    base, *others = runs
    labels = _labels(runs)
    settings = [changed_settings(base.results, other.results) for other in others]
    for other, changed in zip(others, settings, strict=True):
        _check(base, other, changed, force=force)
    comparisons = [
        _comparison(base, other, changed, label)
        for other, changed, label in zip(others, settings, labels[1:], strict=True)
    ]
    tested = [m.name in MAIN for c in comparisons for m in c.metrics if m.p is not None]
    return ComparisonReport(
        base=_side(base, labels[0]),
        comparisons=tuple(_judged(comparisons)),
        n_tests=sum(tested),
        n_other_tests=len(tested) - sum(tested),
    )


def _check(base: Loaded, other: Loaded, changed: Sequence[Setting], *, force: bool) -> None:
    if not shared_prompts(base.results, other.results):
        raise UsageError(f"{base.path} and {other.path} have no prompt with samples in common")
    fatal = [f"{s.name} ({s.base} and {s.other})" for s in changed if s.fatal]
    if fatal and not force:
        raise UsageError(
            f"{base.path} and {other.path} measured different things: {', '.join(fatal)};"
            " --force compares them all the same"
        )


def _comparison(
    base: Loaded, other: Loaded, settings: tuple[Setting, ...], label: str
) -> Comparison:
    pairs = paired_outcomes(base, other)
    found = (change_of(metric, base.results, other.results, pairs) for metric in METRICS)
    prompts = shared_prompts(base.results, other.results)
    return Comparison(
        other=_side(other, label),
        settings=settings,
        metrics=tuple(change for change in found if change),
        prompts_flipped=_flips(prompts),
        error_codes=_codes(base.results, other.results, prompts),
        pairs=_pairs(pairs),
        notes=tuple(_notes(base.results, other.results, settings)),
    )


def _judged(comparisons: Sequence[Comparison]) -> Iterator[Comparison]:
    """Yield the comparisons with verdicts: the main numbers one family, all others another."""
    corrected: dict[tuple[int, str], float] = {}
    for main in (True, False):
        family = [
            ((index, metric.name), metric.p)
            for index, comparison in enumerate(comparisons)
            for metric in comparison.metrics
            if metric.p is not None and (metric.name in MAIN) is main
        ]
        corrected |= zip((key for key, _ in family), holm([p for _, p in family]), strict=True)
    for index, comparison in enumerate(comparisons):
        metrics = (_verdict(m, corrected.get((index, m.name))) for m in comparison.metrics)
        yield comparison.model_copy(update={"metrics": tuple(metrics)})


def _verdict(metric: MetricChange, p_holm: float | None) -> MetricChange:
    verdict = metric.verdict
    interval = metric.interval
    if p_holm is not None and p_holm < ALPHA and interval and interval.low * interval.high > 0:
        if metric.good == Good.NEITHER:
            verdict = Verdict.CHANGED
        else:
            rises = interval.low > 0
            verdict = Verdict.BETTER if rises is (metric.good == Good.HIGHER) else Verdict.WORSE
    return metric.model_copy(update={"p_holm": p_holm, "verdict": verdict})


def _flips(prompts: Sequence[PromptPair]) -> tuple[PromptFlip, ...]:
    """Return the prompts that half of the samples or more solve in only one of the runs."""
    flips = []
    for mine, theirs in prompts:
        what, one, two = "compiles", _compiled(mine), _compiled(theirs)
        if mine.tests and theirs.tests:
            what = "passes"
            one = (mine.tests.passed, mine.tests.judged)
            two = (theirs.tests.passed, theirs.tests.judged)
        if one[1] and two[1] and (2 * one[0] >= one[1]) is not (2 * two[0] >= two[1]):
            flips.append(
                PromptFlip(prompt_set=mine.prompt_set, id=mine.id, what=what, base=one, other=two)
            )
    return tuple(sorted(flips, key=_flip_size, reverse=True))


def _compiled(prompt: PromptResults) -> tuple[int, int]:
    return prompt.compile_success, prompt.judged


def _flip_size(flip: PromptFlip) -> float:
    (mine, n_mine), (theirs, n_theirs) = flip.base, flip.other
    return abs(theirs / n_theirs - mine / n_mine)


def _codes(base: Results, other: Results, prompts: list[PromptPair]) -> tuple[CodeChange, ...]:
    codes = list(dict.fromkeys([*base.error_codes, *other.error_codes]))
    p_values = [cmh_p([_table(pair, code) for pair in prompts]) for code in codes]
    tested = [code for code, p in zip(codes, p_values, strict=True) if p is not None]
    corrected = dict(zip(tested, holm([p for p in p_values if p is not None]), strict=True))
    changes = []
    for code in codes:
        mine, theirs = base.error_codes.get(code, 0), other.error_codes.get(code, 0)
        change = 100 * (theirs / max(1, other.judged) - mine / max(1, base.judged))
        p = corrected.get(code)
        verdict = Verdict.CHANGED if p is not None and p < ALPHA else Verdict.NOT_SHOWN
        changes.append(
            CodeChange(code=code, base=mine, other=theirs, change=change, p_holm=p, verdict=verdict)
        )
    return tuple(sorted(changes, key=lambda c: (-abs(c.change), c.code)))


def _table(pair: PromptPair, code: str) -> Table:
    mine, theirs = pair
    return Table(
        mine.error_codes.get(code, 0), mine.judged, theirs.error_codes.get(code, 0), theirs.judged
    )


def _pairs(pairs: PairedOutcomes | None) -> SamplePairs | None:
    if not pairs:
        return None
    return SamplePairs(
        n=len(pairs),
        better=sum(theirs.compiles and not mine.compiles for mine, theirs in pairs),
        worse=sum(mine.compiles and not theirs.compiles for mine, theirs in pairs),
    )


def _notes(base: Results, other: Results, settings: Sequence[Setting]) -> Iterator[str]:
    if any(setting.fatal for setting in settings):
        yield "compared with --force: the runs measured different things, see the settings"
    if (base.run_id, base.timestamp) == (other.run_id, other.timestamp):
        yield "both are the same run"
    elif base.checkpoint_info.fingerprint == other.checkpoint_info.fingerprint:
        yield "both have the same weights: what differs is chance or settings"
    if bool(base.pass_at_k) is not bool(other.pass_at_k):
        without = "base" if other.pass_at_k else "other run"
        yield f"the {without} has no pass@k: its tests were not run"
    if any(s.name in ("machine", "device", "dtype") for s in settings):
        yield "tokens/s were measured on different machines, devices or precisions"


def _side(run: Loaded, label: str) -> Side:
    results = run.results
    return Side(
        label=label,
        path=str(run.path),
        checkpoint=results.checkpoint,
        step=results.step,
        run_id=results.run_id,
        timestamp=results.timestamp,
        judged=results.judged,
        warnings=tuple(warning.code for warning in results.warnings),
    )


def _labels(runs: Sequence[Loaded]) -> list[str]:
    """Return the last part of each checkpoint's name, or the file where two are alike."""
    names = [PurePath(run.results.checkpoint).name or run.results.run_id for run in runs]
    return [
        name if names.count(name) == 1 else str(run.path)
        for name, run in zip(names, runs, strict=True)
    ]
