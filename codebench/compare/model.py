"""What `codebench compare --json` prints: the facts of a comparison, each number with its unit."""

from enum import StrEnum

from pydantic import BaseModel

COMPARISON_VERSION = 1


class Verdict(StrEnum):
    """What can be said about a change."""

    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    """Surely another value, of a number that is neither good nor bad."""

    NOT_SHOWN = "not_shown"
    """No difference that this number of samples can show; not the same as no difference."""

    UNTESTED = "untested"
    """There is no test for this number: it depends on the machine, or on samples together."""


class _Described(
    BaseModel, frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
):
    """A part of the comparison."""


class Side(_Described):
    """One of the runs."""

    label: str
    """Short name, unlike those of the other runs."""

    path: str
    """The file that was read."""

    checkpoint: str
    """The checkpoint as the user named it."""

    step: int | None
    """Training step; null when nothing tells it."""

    run_id: str
    """Name of the run."""

    timestamp: str
    """When the run ended, UTC."""

    judged: int
    """Number of samples in the denominator."""

    warnings: tuple[str, ...]
    """Codes of the warnings of the run."""


class Setting(_Described):
    """A setting that is not the same in both runs."""

    name: str
    """What differs."""

    base: str
    """In the base."""

    other: str
    """In the other run."""

    fatal: bool
    """The numbers mean something else: refused without --force."""


class Range(_Described):
    """Interval of a change, in the unit of the metric."""

    low: float
    """Lower end."""

    high: float
    """Upper end."""

    confidence: float
    """Share of such intervals that hold the true change, 0-1."""

    meaning: str
    """What the interval speaks about."""


class MetricChange(_Described):
    """One number in both runs."""

    name: str
    """Its key in results.json."""

    unit: str
    """percent (0-100), fraction (0-1) or number."""

    good: str
    """Which way is good: higher, lower or neither."""

    base: float | None
    """In the base."""

    other: float | None
    """In the other run."""

    change: float | None
    """other - base, in the unit (percent: points); null where one is undefined."""

    relative_change: float | None
    """Percent of the base; null where the base is 0."""

    interval: Range | None
    """How far the true change may be from the one seen; null where it cannot be said."""

    test: str | None
    """Where the p value comes from."""

    p: float | None
    """How surprising the numbers are if nothing changed, 0-1."""

    p_holm: float | None
    """p, corrected for all the tests of its family (Holm)."""

    smallest_difference: float | None
    """Change that 4 of 5 such comparisons would find, in the unit."""

    verdict: Verdict
    """better, worse or changed where p_holm < 0.05 and the interval leaves out 0."""


class PromptFlip(_Described):
    """A prompt that most samples solve in one run and not in the other."""

    prompt_set: str
    """Name of its set."""

    id: str
    """Name of the prompt."""

    what: str
    """compiles, or passes where both runs ran its tests."""

    base: tuple[int, int]
    """Successes and judged samples of the base."""

    other: tuple[int, int]
    """Successes and judged samples of the other run."""


class CodeChange(_Described):
    """An error code in both runs."""

    code: str
    """E0308, SyntaxError ..."""

    base: int
    """Judged samples of the base that show it."""

    other: int
    """Judged samples of the other run that show it."""

    change: float
    """Change of its share of judged samples, points."""

    p_holm: float | None
    """p value (Cochran-Mantel-Haenszel), corrected over the codes; null where untestable."""

    verdict: Verdict
    """changed where it surely grew or shrank, else not_shown."""


class SamplePairs(_Described):
    """Samples that both runs drew with the same seed."""

    n: int
    """Number of pairs."""

    better: int
    """Pairs where only the other run's sample compiles."""

    worse: int
    """Pairs where only the base's sample compiles."""


class Comparison(_Described):
    """The base and one other run."""

    other: Side
    """The run that is compared with the base."""

    settings: tuple[Setting, ...]
    """Settings that differ."""

    metrics: tuple[MetricChange, ...]
    """Numbers that at least one of them has."""

    prompts_flipped: tuple[PromptFlip, ...]
    """Largest change first."""

    error_codes: tuple[CodeChange, ...]
    """Codes that either run shows, largest change first."""

    pairs: SamplePairs | None
    """Null where samples do not pair."""

    notes: tuple[str, ...]
    """What a reader must know."""


class ComparisonReport(_Described):
    """All comparisons of one call; each other run against the base."""

    comparison_version: int = COMPARISON_VERSION
    """Version of the shape of this document."""

    base: Side
    """The run that the others are compared with."""

    comparisons: tuple[Comparison, ...]
    """In the order given."""

    n_tests: int
    """Tests of the main numbers (compile rate, pass@1): one family for Holm."""

    n_other_tests: int
    """Tests of all other numbers: another family."""
