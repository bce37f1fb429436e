"""The data of the page's script: small numbers as JSON, samples compressed within a budget."""

import gzip
import json
import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from codebench.languages.verdict import Outcome
from codebench.report.highlight import highlighted, utf16_units
from codebench.report.runs import Run
from codebench.report.samples import MAX_PROGRAM_CHARS, ShownSample
from codebench.visible import shortened

SAMPLES_BUDGET_BYTES = 3_000_000
"""Most bytes of the samples in the page."""

_PLAIN_BYTES = 200_000
"""Samples up to this size stay readable in the file; larger ones are compressed."""

_MOST_SAMPLES = 20_000
"""More than these no browser filters at once, and no reader reads."""

_MAX_REST_CHARS = 1_000
_TEXT_LIMITS = (MAX_PROGRAM_CHARS, 4_000, 1_500, 600)
_ACTS_IN_HTML = re.compile("[<\u2028\u2029]")


class Embedded(NamedTuple):
    """The samples as the page carries them."""

    json: str
    limit: int
    """Most characters of a program that are shown."""

    n_shown: int
    n_samples: int


def script_json(value: object) -> str:
    """Return JSON that can stand in a script element: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _ACTS_IN_HTML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def embed_samples(runs: Sequence[Run], budget_bytes: int = SAMPLES_BUDGET_BYTES) -> Embedded:
    """Return the samples within a size: first long programs are cut, then samples left out.

    Samples are left out evenly: the first ones of each prompt stay.

    Args:
        runs: the runs, with or without samples.
        budget_bytes: most bytes of the result.
    """
    n_samples = sum(len(run.samples or ()) for run in runs)
    most_of_a_run = min(max(len(run.samples or ()) for run in runs), _MOST_SAMPLES // len(runs))
    for limit, most in _attempts(most_of_a_run):
        table = _Table(limit)
        shown = [_first(run.samples or (), most) for run in runs]
        for place, samples in enumerate(shown):
            for sample in samples:
                table.add(place, sample)
        text = _encoded(table.content())
        if len(text.encode()) <= budget_bytes:
            return Embedded(text, limit, sum(map(len, shown)), n_samples)
    return Embedded(script_json(None), 0, 0, n_samples)


def _attempts(n_samples: int) -> Iterator[tuple[int, int]]:
    """Yield the characters of a program and the samples of a run to try, the most first."""
    yield from ((limit, n_samples) for limit in _TEXT_LIMITS)
    while n_samples > 1:
        n_samples //= 2
        yield _TEXT_LIMITS[-1], n_samples


def _first(samples: Sequence[ShownSample], most: int) -> list[ShownSample]:
    if len(samples) <= most:
        return list(samples)
    kept = sorted(range(len(samples)), key=lambda place: samples[place].index)[:most]
    return [samples[place] for place in sorted(kept)]


def _encoded(columns: dict[str, object]) -> str:
    text = script_json(columns)
    if len(text) <= _PLAIN_BYTES:
        return text
    packed = gzip.compress(json.dumps(columns, ensure_ascii=False).encode(), 9, mtime=0)
    return script_json({"gzip": b64encode(packed).decode()})


class _Pool:
    """Values that occur often, each kept once and named by its place."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self._places: dict[Hashable, int] = {}

    def place(self, key: Hashable, make: Callable[[], object] | None = None) -> int:
        """Return the place of the value that `make` gives for a new key; of the key without it."""
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(make() if make else key)
        return self._places[key]


@dataclass(frozen=True, slots=True)
class _Table:
    """The samples, column by column: alike values side by side compress well."""

    limit: int
    """Most characters of a program."""

    columns: dict[str, list[object]] = field(default_factory=lambda: defaultdict(list))
    pools: dict[str, _Pool] = field(default_factory=lambda: defaultdict(_Pool))

    def add(self, run: int, sample: ShownSample) -> None:
        """Add one sample of the run at this place."""
        pools, text = self.pools, shortened(sample.program, self.limit)
        row: dict[str, object] = {
            "run": run,
            "prompt": pools["words"].place(f"{sample.prompt_set}/{sample.prompt_id}"),
            "index": sample.index,
            "outcome": pools["words"].place(sample.outcome),
            "compiles": int(_compiles(sample.outcome)),
            "program": pools["programs"].place(
                (text, sample.language), lambda: (text, highlighted(text, sample.language))
            ),
            "written": utf16_units(sample.prompt) if text.startswith(sample.prompt) else 0,
            "rest": pools["words"].place(shortened(_cut_off(sample), _MAX_REST_CHARS)),
            "diagnostics": pools["diagnostics"].place(
                tuple((one.level, one.code, one.message, one.line) for one in sample.diagnostics)
            ),
            "tests": pools["tests"].place(_tests(sample)),
            "notes": pools["notes"].place(_notes(sample)),
            "finish": pools["words"].place(sample.finish_reason),
            "tokens": sample.n_tokens,
            "generation_ms": round(sample.times.generation_ms),
            "compile_ms": round(sample.times.compile_ms),
            "seed": str(sample.seed),  # beyond what a number of JavaScript holds
        }
        for name, value in row.items():
            self.columns[name].append(value)

    def content(self) -> dict[str, object]:
        """Return everything, ready for JSON."""
        pools = {name: pool.values for name, pool in self.pools.items()}
        return {"columns": self.columns, "pools": pools}


def _compiles(outcome: str) -> bool:
    try:
        return Outcome(outcome).compiles
    except ValueError:
        return False


def _cut_off(sample: ShownSample) -> str:
    """Return what the model wrote and the program does not hold, in one piece."""
    written = sample.program.removeprefix(sample.prompt).removesuffix("\n")
    return sample.completion.removeprefix(written).strip("\n")


def _tests(sample: ShownSample) -> Hashable:
    tests = sample.tests
    if tests is None:
        return None
    failure = tests.failure
    found = failure and (
        failure.check,
        failure.arguments,
        failure.expected,
        failure.got,
        failure.message,
        failure.line,
    )
    return (tests.planned, tests.passed, found, tests.built)


def _notes(sample: ShownSample) -> tuple[str, ...]:
    loop = (f"repeats {sample.loop!r}",) if sample.loop else ()
    error = (f"not judged: {sample.error}",) if sample.error else ()
    return (*sample.flags, *loop, *error)
