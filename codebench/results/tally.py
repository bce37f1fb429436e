"""Count the samples of a run, a language or a prompt, one at a time, in memory that does not grow.

A tally keeps counts and sums, never records. Distinct error texts are bounded: when there are too
many the rarer half is forgotten, so a count is exact up to the bound and the frequent ones survive.
"""

from collections import Counter
from dataclasses import dataclass, field

from codebench.languages.verdict import DiagnosticLevel, Outcome
from codebench.stats import pass_at_k
from codebench.store.record import SampleRecord

K_VALUES = (1, 10, 100)
"""The k of pass@k and compile@k."""

MAX_DISTINCT_TEXTS = 2000


class BoundedCounter:
    """Counts of texts; forgets the rarer half when there are more distinct ones than allowed."""

    def __init__(self, max_distinct: int = MAX_DISTINCT_TEXTS) -> None:
        self._max_distinct = max_distinct
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, text: str) -> None:
        """Count a text once more."""
        if len(self._counts) >= self._max_distinct and text not in self._counts:
            self._counts = Counter(dict(self._counts.most_common(self._max_distinct // 2)))
        self._counts[text] += 1

    def ranked(self) -> dict[str, int]:
        """Return the counts, most frequent first, ties in alphabetical order."""
        return dict(sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0])))


@dataclass(slots=True)
class Mean:
    """A running mean over the values that exist."""

    total: float = 0.0
    n: int = 0

    def add(self, value: float | None) -> None:
        """Take a value in; None is not counted."""
        if value is not None:
            self.total += value
            self.n += 1

    def value(self) -> float | None:
        """Return the mean; None without values."""
        return self.total / self.n if self.n else None


@dataclass(slots=True)
class Tally:
    """Counts over samples."""

    total: int = 0
    judged: int = 0
    compiled: int = 0
    passed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    error_codes: BoundedCounter = field(default_factory=BoundedCounter)
    errors: BoundedCounter = field(default_factory=BoundedCounter)
    lines: Mean = field(default_factory=Mean)
    functions: Mean = field(default_factory=Mean)
    complexity: Mean = field(default_factory=Mean)
    generation_ms: Mean = field(default_factory=Mean)
    warnings: Mean = field(default_factory=Mean)

    def add(self, record: SampleRecord) -> None:
        """Count one sample.

        What the model wrote is counted for every sample; what a compiler said only for judged ones.
        """
        self.total += 1
        self.outcomes[record.outcome] += 1
        self.lines.add(record.metrics.lines)
        self.functions.add(record.metrics.functions)
        self.complexity.add(record.metrics.complexity)
        self.generation_ms.add(record.times.generation_ms)
        if record.outcome.judged:
            self._add_judged(record)

    def _add_judged(self, record: SampleRecord) -> None:
        self.judged += 1
        self.compiled += record.outcome.compiles
        self.passed += record.outcome is Outcome.PASSED
        self.warnings.add(record.n_warnings)
        errors = [
            diagnostic
            for diagnostic in record.diagnostics
            if diagnostic.level is DiagnosticLevel.ERROR
            and not diagnostic.message.startswith("aborting due to")
        ]
        for code in sorted({diagnostic.code for diagnostic in errors if diagnostic.code}):
            self.error_codes.add(code)
        for headline in sorted({diagnostic.headline for diagnostic in errors}):
            self.errors.add(headline)

    def compile_success_rate(self) -> float | None:
        """Return the share of programs that compile.

        Measures: whether the model writes programs that build, percent 0-100.
        Counts: compiled samples over judged ones; an infra_error is in neither.
        Undefined when: nothing was judged (None).
        Known problems: says nothing about what programs do; prompts with more samples weigh more.
        Source: DESIGN section 2.
        """
        return percent(self.compiled, self.judged)

    def compile_at_k(self) -> dict[str, float]:
        """Return compile@k of one prompt by k, 0-1; k above the judged samples are left out."""
        return at_k(n=self.judged, c=self.compiled)

    def pass_at_k(self) -> dict[str, float]:
        """Return pass@k of one prompt by k, 0-1; k above the judged samples are left out."""
        return at_k(n=self.judged, c=self.passed)

    def outcome_counts(self) -> dict[str, int]:
        """Return the outcomes that occurred, in the order of `Outcome`."""
        return {o.value: self.outcomes[o] for o in Outcome if self.outcomes[o]}


def at_k(*, n: int, c: int) -> dict[str, float]:
    """Return pass@k (or compile@k) of one prompt for each k of `K_VALUES` up to n."""
    return {str(k): pass_at_k(n=n, c=c, k=k) for k in K_VALUES if k <= n}


def percent(part: int, whole: int) -> float | None:
    """Return 100 * part / whole; None when whole is 0."""
    return 100.0 * part / whole if whole else None


def share(part: int, whole: int) -> float | None:
    """Return part / whole, 0-1; None when whole is 0."""
    return part / whole if whole else None
