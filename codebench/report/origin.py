"""Where the numbers come from: enough to make them again, nothing that is private.

Left out on purpose: absolute paths, names of machines and users.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from codebench.report.runs import Run
from codebench.results.model import Results
from codebench.visible import visible

_PRIVATE = frozenset({"hostname", "node", "user", "path", "cwd", "root", "directory"})


class Fact(NamedTuple):
    """One line of the origin."""

    name: str
    values: tuple[tuple[str, str], ...]
    """Runs and what holds for them; one value with an empty name where it is the same for all."""


def origin_of(runs: Sequence[Run]) -> list[Fact]:
    """Return the facts about the runs; one that holds for all of them is said once."""
    return [fact for name, tell in _FACTS.items() if (fact := _fact(runs, name, tell)).values]


def _fact(runs: Sequence[Run], name: str, tell: Callable[[Results], str | None]) -> Fact:
    told: dict[str, list[str]] = {}
    for run in runs:
        value = tell(run.results)
        if value:
            told.setdefault(visible(value), []).append(run.label)
    if len(told) == 1 and len(next(iter(told.values()))) == len(runs):
        return Fact(name, (("", next(iter(told))),))
    return Fact(name, tuple((", ".join(labels), value) for value, labels in told.items()))


def _pairs(values: object) -> str:
    """Return `temperature 0.8, top_k 50`."""
    if not isinstance(values, dict):
        return ""
    told = ((name, value) for name, value in values.items() if name not in _PRIVATE)
    return ", ".join(f"{name} {value}" for name, value in told if value not in (None, {}, ()))


def _prompt_sets(results: Results) -> str:
    return "\n".join(
        f"{one.name} {one.version}, {one.n_prompts} {one.language} prompts, sha256 {one.sha256}"
        for one in results.prompt_sets
    )


def _sandbox(results: Results) -> str:
    machine = results.environment
    return f"{machine.sandbox}, isolation by {machine.isolation}, {machine.n_slots} slots"


_FACTS: dict[str, Callable[[Results], str | None]] = {
    "Checkpoint": lambda r: f"{r.checkpoint_info.format}, sha256 {r.checkpoint_info.fingerprint}",
    "Prompts": _prompt_sets,
    "Sampling": lambda r: _pairs(r.sampling.model_dump(exclude={"options"}) | r.sampling.options),
    "Sampler": lambda r: _pairs(r.environment.sampler),
    "Rust compiler": lambda r: r.environment.rustc,
    "Python in the sandbox": lambda r: r.environment.python,
    "Sandbox": _sandbox,
    "Image": lambda r: r.environment.image,
    "Packages": lambda r: _pairs(r.environment.packages),
    "Machine": lambda r: _pairs(r.environment.host),
    "Started in git commit": lambda r: _pairs(r.environment.git),
    "Run": lambda r: f"{r.run_id}, ended {r.timestamp}",
    "Versions": lambda r: f"schema {r.schema_version}, metric {r.metric_version}",
}
