"""Settings that differ between two runs, and which of them make their numbers incomparable.

Incomparable (`fatal`): what a number means (metric_version), what was asked (prompt sets, prompts),
how it was sampled and cut, and what judged it (rustc; Python up to its minor version). Only told:
precision, sandbox, image, machine, codebench. Checkpoint, seed and number of samples are what
comparisons are about.
"""

import hashlib
from collections.abc import Iterator, Mapping

from codebench.compare.model import Setting
from codebench.prompts.model import Language
from codebench.results.model import Results

_FREE_SAMPLING = frozenset({"seed", "n_samples", "options"})
_TOLD_OPTIONS = frozenset({"dtype"})
_SHA_DIGITS = 12


def changed_settings(base: Results, other: Results) -> tuple[Setting, ...]:
    """Return every setting that differs, fatal ones first."""
    fatal, told = _fatal(base), _told(base)
    fatal_other, told_other = _fatal(other), _told(other)
    return (
        *_differences(fatal, fatal_other, fatal=True),
        *_differences(told, told_other, fatal=False),
    )


def _differences(
    base: Mapping[str, object], other: Mapping[str, object], *, fatal: bool
) -> Iterator[Setting]:
    for name in dict.fromkeys([*base, *other]):
        mine, theirs = base.get(name), other.get(name)
        if mine != theirs:
            yield Setting(name=name, base=_said(mine), other=_said(theirs), fatal=fatal)


def _fatal(results: Results) -> dict[str, object]:
    settings: dict[str, object] = {"metric_version": results.metric_version}
    for prompt_set in results.prompt_sets:
        settings[f"prompt set {prompt_set.name}"] = prompt_set.sha256[:_SHA_DIGITS]
    asked = sorted(f"{p.prompt_set}/{p.id}" for p in results.samples_by_prompt if p.n_samples)
    digest = hashlib.sha256("\n".join(asked).encode()).hexdigest()[:_SHA_DIGITS]
    settings["prompts with samples"] = f"{len(asked)} ({digest})"
    sampling, options = results.sampling.model_dump(), results.sampling.options
    settings |= {name: sampling[name] for name in sampling if name not in _FREE_SAMPLING}
    settings |= {name: options[name] for name in options if name not in _TOLD_OPTIONS}
    languages = {prompt.language for prompt in results.samples_by_prompt}
    if Language.RUST in languages:
        settings["rustc"] = (results.environment.rustc or "none").split("\n")[0]
    if Language.PYTHON in languages:
        settings["python"] = ".".join((results.environment.python or "none").split(".")[:2])
    return settings


def _told(results: Results) -> dict[str, object]:
    environment, host = results.environment, results.environment.host
    processor, cores = host.get("processor"), host.get("n_cores")
    return {
        "dtype": results.sampling.options.get("dtype"),
        "device": environment.sampler.get("device"),
        "sandbox": environment.sandbox,
        "isolation": environment.isolation,
        "image": environment.image,
        "python version": environment.python,
        "codebench": environment.packages.get("codebench"),
        "machine": f"{processor}, {cores} cores" if processor else None,
    }


def _said(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(repr, value)) or "none"
    return str(value)
