"""Count the samples of a run, a language or a prompt, one at a time, in memory that does not grow.

A tally keeps counts and sums, never records. Distinct error texts are bounded: when there are too
many the rarer half is forgotten, so a count is exact up to the bound and the frequent ones survive.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from codebench.languages.error_class import error_class
from codebench.languages.verdict import DiagnosticLevel, Outcome
from codebench.stats import pass_at_k
from codebench.store.record import SampleRecord

K_VALUES = (1, 10, 100)
"""The k of pass@k and compile@k, when nobody asks for others."""

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
    tested: int = 0
    """Judged samples of prompts whose tests are run."""

    passed: int = 0
    built_with_tests: int = 0
    shared: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    error_codes: BoundedCounter = field(default_factory=BoundedCounter)
    errors: BoundedCounter = field(default_factory=BoundedCounter)
    lines: Mean = field(default_factory=Mean)
    functions: Mean = field(default_factory=Mean)
    complexity: Mean = field(default_factory=Mean)
    generation_ms: Mean = field(default_factory=Mean)
    warnings: Mean = field(default_factory=Mean)
    error_classes: Counter[str] = field(default_factory=Counter)
    extractions: Counter[str] = field(default_factory=Counter)
    clean: int = 0
    lints_per_sample: Mean = field(default_factory=Mean)
    lints: BoundedCounter = field(default_factory=BoundedCounter)

    def add(self, record: SampleRecord, *, tested: bool = False) -> None:
        """Count one sample.

        What the model wrote is counted for every sample; what a compiler said only for judged ones.

        Args:
            record: the sample.
            tested: whether the tests of its prompt are run.
        """
        self.total += 1
        self.extractions[record.extraction] += 1
        self.outcomes[record.outcome] += 1
        self.lines.add(record.metrics.lines)
        self.functions.add(record.metrics.functions)
        self.complexity.add(record.metrics.complexity)
        self.generation_ms.add(record.times.generation_ms)
        if record.outcome.judged:
            self._add_judged(record)
            if tested:
                self._add_tested(record)

    def _add_judged(self, record: SampleRecord) -> None:
        self.judged += 1
        self.compiled += record.outcome.compiles
        self.warnings.add(record.n_warnings)
        errors = [
            diagnostic
            for diagnostic in record.diagnostics
            if diagnostic.level is DiagnosticLevel.ERROR
            and not record.outcome.compiles  # else it is the build with tests that failed
            and not diagnostic.message.startswith("aborting due to")
        ]
        self._add_lints(record.lints)
        if errors:
            self.error_classes[error_class(errors[0].code, errors[0].message)] += 1
        for code in sorted({diagnostic.code for diagnostic in errors if diagnostic.code}):
            self.error_codes.add(code)
        for headline in sorted({diagnostic.headline for diagnostic in errors}):
            self.errors.add(headline)

    def _add_tested(self, record: SampleRecord) -> None:
        self.tested += 1
        self.passed += record.outcome is Outcome.PASSED
        compiles = record.outcome.compiles and record.tests is not None
        self.built_with_tests += compiles and record.tests is not None and record.tests.built
        self.shared += "shared" in record.flags

    def _add_lints(self, lints: Mapping[str, int] | None) -> None:
        if lints is None:
            return
        self.clean += not lints
        self.lints_per_sample.add(sum(lints.values()))
        for lint in lints:
            self.lints.add(lint)

    def compile_success_rate(self) -> float | None:
        """Return the share of programs that compile.

        Measures: whether the model writes programs that build, percent 0-100.
        Counts: compiled samples over judged ones; an infra_error is in neither.
        Undefined when: nothing was judged (None).
        Known problems: says nothing about what programs do; prompts with more samples weigh more.
        Source: DESIGN section 2.
        """
        return percent(self.compiled, self.judged)

    def pass_rate(self) -> float | None:
        """Return the share of programs that pass every test of their prompt.

        Measures: whether the model writes programs that do what was asked, percent 0-100.
        Counts: passed samples over judged ones, of prompts whose tests are run.
        Undefined when: nothing was tested (None).
        Known problems: tests are a few examples each; prompts with more samples weigh more.
        Source: DESIGN section 2.
        """
        return percent(self.passed, self.tested)

    def compile_at_k(self, k_values: Sequence[int] = K_VALUES) -> dict[str, float]:
        """Return compile@k of one prompt by k, 0-1; k above the judged samples are left out."""
        return at_k(n=self.judged, c=self.compiled, k_values=k_values)

    def pass_at_k(self, k_values: Sequence[int] = K_VALUES) -> dict[str, float]:
        """Return pass@k of one prompt by k, 0-1; k above the judged samples are left out."""
        return at_k(n=self.tested, c=self.passed, k_values=k_values)

    def outcome_counts(self) -> dict[str, int]:
        """Return the outcomes that occurred, in the order of `Outcome`."""
        return {o.value: self.outcomes[o] for o in Outcome if self.outcomes[o]}


def at_k(*, n: int, c: int, k_values: Sequence[int]) -> dict[str, float]:
    """Return pass@k (or compile@k) of one prompt for each k of `k_values` up to n."""
    return {str(k): pass_at_k(n=n, c=c, k=k) for k in k_values if k <= n}


def percent(part: int, whole: int) -> float | None:
    """Return 100 * part / whole; None when whole is 0."""
    return 100.0 * part / whole if whole else None


def share(part: int, whole: int) -> float | None:
    """Return part / whole, 0-1; None when whole is 0."""
    return part / whole if whole else None
