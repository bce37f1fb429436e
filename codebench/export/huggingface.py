"""YAML for a model on the Hugging Face Hub: `model-index` of a README, `.eval_results/*.yaml`.

Values of compile_success_rate are percent; pass@k and compile@k are 0-1. An `.eval_results` entry
has no place for an interval, so it stands in the notes; the Hub shows only entries whose dataset
is tagged as a benchmark there.
Source: huggingface_hub 2.4 `repocard_data.py`, `_eval_results.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import yaml

from codebench.export.markdown_table import how_measured
from codebench.export.order import by_step, only_one
from codebench.results.model import Results
from codebench.results.reading import Loaded

TASK = "text-generation"
HUB_DATASETS = {
    "humaneval": "openai/openai_humaneval",
    "humaneval-plus": "evalplus/humanevalplus",
    "mbpp": "google-research-datasets/mbpp",
    "mbpp-plus": "evalplus/mbppplus",
}
"""Prompt sets that are a dataset of the Hub; the others are named as they are here."""


class _Metric(NamedTuple):
    type: str
    name: str
    value: float


def model_index(loaded: Sequence[Loaded]) -> bytes:
    """Return `model-index` for the front matter of a README; of one run.

    Raises:
        UsageError: if there are several runs.
    """
    results = only_one(loaded, "a model-index").results
    sets = results.prompt_sets
    metrics = [
        {"type": metric.type, "value": metric.value, "name": metric.name}
        for metric in _metrics(results)
    ]
    entry = {
        "task": {"type": TASK, "name": "Code generation"},
        "dataset": {
            "name": ", ".join(one.name for one in sets),
            "type": HUB_DATASETS.get(sets[0].name, sets[0].name),
            "revision": sets[0].sha256,
            "args": {
                "n_samples": results.judged,
                "temperature": results.sampling.temperature,
                "top_k": results.sampling.top_k,
                "max_tokens": results.sampling.max_tokens,
            },
        },
        "metrics": metrics,
    }
    return _yaml({"model-index": [{"name": results.checkpoint, "results": [entry]}]})


def eval_results(loaded: Sequence[Loaded]) -> bytes:
    """Return the entries of a file in `.eval_results/`: the main number of each run.

    The main number is pass@1 where tests were run, else the compile rate.
    """
    entries = []
    for one in by_step(loaded):
        results = one.results
        metrics = _metrics(results)
        if not metrics:
            continue
        main = next((metric for metric in metrics if metric.type == "pass@1"), metrics[0])
        first = results.prompt_sets[0]
        entries.append(
            {
                "dataset": {
                    "id": HUB_DATASETS.get(first.name, first.name),
                    "task_id": main.type,
                    "revision": first.sha256,
                },
                "value": main.value,
                "date": results.timestamp,
                "notes": _notes(results),
            }
        )
    return _yaml(entries)


def _notes(results: Results) -> str:
    wilson = results.intervals.compile_success_rate.wilson
    rate = results.compile_success_rate
    parts = [results.checkpoint]
    if wilson and rate is not None:
        parts.append(f"compiles {rate:.1f} % ({wilson.low:.1f} to {wilson.high:.1f})")
    parts += [f"{results.judged} samples", how_measured(results)]
    return "; ".join([*parts, *(warning.message for warning in results.warnings)])


def _metrics(results: Results) -> list[_Metric]:
    """Return the numbers that are there, rounded as far as they are known."""
    found = []
    rate = results.compile_success_rate
    if rate is not None:
        found.append(_Metric("compile_success_rate", "Compiles (percent)", round(rate, 2)))
    for name, by_k in (("pass", results.pass_at_k), ("compile", results.compile_at_k)):
        found += [_Metric(f"{name}@{k}", f"{name}@{k}", round(v, 4)) for k, v in by_k.items()]
    return found


def _yaml(content: object) -> bytes:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return str(text).encode("utf-8", "replace")
