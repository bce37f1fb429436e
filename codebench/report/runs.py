"""From the words of the user to the runs that the report shows, lowest step first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from codebench.errors import UsageError
from codebench.report.samples import ShownSample, read_samples
from codebench.results.model import Results
from codebench.results.reading import RESULTS_NAME, Loaded, load_folder, load_results
from codebench.store.run_directory import MANIFEST_NAME, SAMPLES_NAME
from codebench.visible import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the report."""

    key: str
    """What names the run in the URL: its step where that is its alone, else its place."""

    label: str
    """`step 2000`, or the name of the checkpoint where steps do not tell the runs apart."""

    short: str
    """`2000`, for the head of a column."""

    loaded: Loaded
    """The results, where they were found, and the file of their samples where there is one."""

    samples: tuple[ShownSample, ...] | None
    """None where only the numbers are at hand."""

    partial: bool
    """Whether samples are missing or could not be judged."""

    @property
    def results(self) -> Results:
        """The results of the run."""
        return self.loaded.results

    @property
    def name(self) -> str:
        """The checkpoint, without the folders of somebody's machine."""
        return visible("/".join(PurePath(self.results.checkpoint).parts[-2:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Everything the report is made from."""

    runs: tuple[Run, ...]
    broken: tuple[str, ...]
    """One line for each file of a folder that should be results and cannot be read."""


def gather(paths: Sequence[Path]) -> Gathered:
    """Read results files, run directories and folders of them, samples included.

    Raises:
        UsageError: if a path cannot be read, or holds no results.
    """
    found: dict[tuple[str, str, int], Loaded] = {}
    broken: list[str] = []
    for path in paths:
        loaded, unreadable = _load(path)
        broken += unreadable
        for one in loaded:
            results = one.results
            key = (results.run_id, results.timestamp, results.total_samples)
            if key not in found or (one.run_dir and not found[key].run_dir):
                found[key] = one
    if not found:
        names = ", ".join(map(str, paths))
        raise UsageError(
            f"no results in {names}" + (f": {broken[0]}" if broken else "; give a results.json")
        )
    ordered = sorted(found.values(), key=_place)
    steps = Counter(one.results.step for one in ordered)
    clear = None not in steps and max(steps.values()) == 1
    return Gathered(
        runs=tuple(_run(one, place, by_step=clear) for place, one in enumerate(ordered)),
        broken=tuple(visible(line) for line in broken),
    )


def _load(path: Path) -> tuple[Sequence[Loaded], Sequence[str]]:
    names = (RESULTS_NAME, MANIFEST_NAME)
    if path.is_dir() and not any((path / name).is_file() for name in names):
        return load_folder(path)
    return (load_results(path),), ()


def _place(one: Loaded) -> tuple[float, str]:
    step = one.results.step
    return (float("inf") if step is None else step, one.results.timestamp)


def _run(one: Loaded, place: int, *, by_step: bool) -> Run:
    one = _with_samples(one)
    results = one.results
    name = visible(PurePath(results.checkpoint).name or results.run_id)
    step = f"step {results.step}" if results.step is not None else ""
    return Run(
        key=str(results.step) if by_step else f"r{place + 1}",
        label=step if by_step else f"{name} ({place + 1})",
        short=step.removeprefix("step ") if by_step else name,
        loaded=one,
        samples=_samples(one),
        partial=results.judged < results.sampling.n_samples,
    )


def _with_samples(one: Loaded) -> Loaded:
    """Look for the run directory in the `runs/` folder beside results that stand alone."""
    beside = one.path.parent / "runs" / one.results.run_id
    if one.run_dir or not (beside / SAMPLES_NAME).is_file():
        return one
    return replace(one, run_dir=beside)


def _samples(one: Loaded) -> tuple[ShownSample, ...] | None:
    """Return the samples in the order of the prompts, each prompt's by index."""
    if one.samples is None:
        return None
    prompts = ((prompt.prompt_set, prompt.id) for prompt in one.results.samples_by_prompt)
    places = {key: place for place, key in enumerate(prompts)}
    return tuple(
        sorted(
            read_samples(one.samples),
            key=lambda s: (places.get((s.prompt_set, s.prompt_id), len(places)), s.index),
        )
    )
