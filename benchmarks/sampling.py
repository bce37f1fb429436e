"""How fast does the row engine sample? Ratios within one run, on the same model and prompts.

100 samples over the prompts of rust-basics are written by the row engine, by the row engine with
one row, by `generate` of transformers one sample at a time, and by `generate` with all samples in
one batch (left padding), by the same stops. It is asked twice more about skewed lengths: every
eighth sample then ends at the token limit, the others after 8 to 56 tokens, for both alike. A
checkpoint of nanoGPT is compared with the Hugging Face directory that it was converted to. The
contenders take turns; a ratio is one of medians. Prints JSON.

    python -m benchmarks.sampling --checkpoint checkpoints/step_2000

Not covered: models that are no Hugging Face directory, nanoGPT apart; servers.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

from benchmarks.nanogpt_twins import nanogpt_twins
from benchmarks.sampling_contenders import (
    ScannerOf,
    Work,
    engine_rows,
    generate,
    generate_each,
)
from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.plan import make_plan
from codebench.prompts import load_prompt_set
from codebench.sampling.bound import MachineRates, decode_bound, measure_machine, model_facts
from codebench.sampling.completion import Completion, SamplerTiming, SamplingParams
from codebench.sampling.device import choose_device, set_threads
from codebench.sampling.formats.huggingface import load_huggingface
from codebench.sampling.loaded_model import LoadedModel
from codebench.sampling.row_sampler import RowSampler


def alternate(
    work: Work, contenders: Mapping[str, Callable[[Work, ScannerOf], int]], *, repetitions: int
) -> dict[str, dict[str, Any]]:
    """Let the contenders take turns and return the figures of each."""
    few = replace(work, requests=work.requests[:4])
    for contender in contenders.values():
        contender(few, few.scanner_of())
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    n_tokens: dict[str, list[int]] = {name: [] for name in contenders}
    for repetition in range(repetitions):
        for name, contender in contenders.items():
            torch.manual_seed(repetition)
            started = time.perf_counter()
            n_tokens[name].append(contender(work, work.scanner_of()))
            seconds[name].append(time.perf_counter() - started)
            print(f"{name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
            if work.lengths is not None and n_tokens[name][-1] < 0.95 * sum(work.lengths):
                raise SystemExit(f"{name} did not keep the planned lengths")
    return {
        name: {
            "samples_per_s": round(len(work.requests) / statistics.median(seconds[name]), 2),
            "tokens_per_s": round(
                statistics.median(n / s for n, s in zip(n_tokens[name], seconds[name], strict=True))
            ),
            "seconds": [round(s, 3) for s in seconds[name]],
            "n_tokens": n_tokens[name],
        }
        for name in contenders
    }


def ratio(figures: Mapping[str, Mapping[str, Any]], other: str) -> float:
    """Return how many times as many samples per second `rows` writes as `other`."""
    return round(float(figures["rows"]["samples_per_s"] / figures[other]["samples_per_s"]), 2)


def skewed_lengths(n_samples: int, longest: int) -> tuple[int, ...]:
    """Return lengths of which every eighth is the longest, in a fixed random order."""
    random_ = random.Random(0)  # noqa: S311  (data, not a secret)
    lengths = [longest if i % 8 == 0 else random_.randint(8, 56) for i in range(n_samples)]
    random_.shuffle(lengths)
    return tuple(lengths)


def look_at_rows(work: Work, n_rows: int) -> tuple[dict[str, Any], SamplerTiming, float]:
    """Sample once more; return facts of the rows, the times, and the mean context in tokens.

    A step computes a token in every row. The tokens thrown away while requests were left were
    decoded past a stop or in a row that stood empty; those after that are rows of the last steps,
    for which nothing was left.
    """
    sampler = RowSampler(work.loaded, work.params, batch_size=n_rows)
    completions = list(sampler.sample(work.requests))
    timing = sampler.timing()
    n_drawn = timing.n_generated_tokens + timing.n_wasted_tokens
    n_past_a_stop = timing.n_row_steps - timing.n_occupied_row_steps
    facts = {
        "n_generated_tokens": timing.n_generated_tokens,
        "n_steps": timing.n_steps,
        "thrown_away_percent": round(100 * timing.n_wasted_tokens / n_drawn, 2),
        "past_a_stop_percent": round(100 * n_past_a_stop / n_drawn, 2),
        "rows_occupied_until_queue_empty_percent": (
            round(100 * timing.n_occupied_row_steps / timing.n_row_steps, 2)
            if timing.n_row_steps
            else None
        ),
    }
    return facts, timing, mean_context(work.loaded, completions)


def mean_context(loaded: LoadedModel, completions: Sequence[Completion]) -> float:
    """Return how many tokens a drawn token sees on average."""
    seen = 0.0
    for completion in completions:
        n_prompt = len(loaded.codec.encode(completion.request.prompt.prefix))
        seen += completion.n_tokens * (n_prompt + (completion.n_tokens - 1) / 2)
    return seen / sum(completion.n_tokens for completion in completions)


def bound_of(work: Work, n_rows: int, timing: SamplerTiming, context: float) -> dict[str, Any]:
    """Return what the machine could do, and the share of it that was reached while decoding."""
    loaded = work.loaded
    facts = model_facts(loaded)
    assert facts is not None

    def at(n: int) -> tuple[MachineRates, float]:
        step_bytes = facts.step_bytes(n_rows=n, mean_context=context)
        rates = measure_machine(loaded.device, dtype=loaded.dtype, n_rows=n, step_bytes=step_bytes)
        return rates, decode_bound(facts, rates, n_rows=n, mean_context=context)

    rates, bound = at(n_rows)
    reached = timing.n_generated_tokens / timing.decode_s
    return {
        "gigabytes_per_s": round(rates.bytes_per_s / 1e9, 1),
        "gigaflops_per_s": round(rates.flops_per_s / 1e9, 1),
        "weight_bytes": facts.weight_bytes,
        "kv_bytes_per_token": facts.kv_bytes_per_token,
        "mean_context_tokens": round(context, 1),
        "bound_tokens_per_s": round(bound),
        "decode_tokens_per_s": round(reached),
        "share_percent": round(100 * reached / bound, 1),
        "one_row_bound_tokens_per_s": round(at(1)[1]),
        "prefill_tokens_per_s": round(timing.n_prompt_tokens / timing.prefill_s),
    }


def first_token(checkpoint: str, device: str, *, repetitions: int) -> dict[str, float]:
    """Start fresh processes and return the median seconds of each part up to the first token."""
    script = Path(__file__).with_name("first_token.py")
    runs = []
    for _ in range(repetitions):
        words = [checkpoint, "--device", device, "--started", str(time.monotonic())]
        out = subprocess.run(
            [sys.executable, str(script), *words], capture_output=True, text=True, check=True
        ).stdout
        runs.append(json.loads(out))
    return {
        **{f"{part}_s": round(statistics.median(run[part] for run in runs), 2) for part in runs[0]},
        "whole_s": round(statistics.median(sum(run.values()) for run in runs), 2),
        "torch_share_percent": round(
            statistics.median(100 * run["import_torch"] / sum(run.values()) for run in runs), 1
        ),
    }


def nanogpt_to_huggingface(work: Work, tokenizer: Path, *, repetitions: int) -> dict[str, Any]:
    """Let the engine write the same samples from a nanoGPT checkpoint and from its conversion.

    The weights are random, so samples end at their limit, which is low.
    """
    with tempfile.TemporaryDirectory() as folder:
        twins = nanogpt_twins(Path(folder), tokenizer, work.loaded.device)
    short = replace(work, params=work.params.model_copy(update={"max_tokens": 64}))
    works = {name: replace(short, loaded=loaded) for name, loaded in twins.items()}
    n_rows = int(RowSampler(twins["nanogpt"], short.params).describe()["rows"])

    def texts(name: str) -> dict[tuple[str, int], str]:
        sampler = RowSampler(works[name].loaded, short.params, batch_size=n_rows)
        found = sampler.sample(short.requests)
        return {(c.request.prompt.id, c.request.index): c.text for c in found}

    def rows_of(name: str) -> Callable[[Work, ScannerOf], int]:
        return lambda _, scanner_of: engine_rows(works[name], scanner_of, n_rows=n_rows)

    figures = alternate(short, {name: rows_of(name) for name in twins}, repetitions=repetitions)
    both = [figures[name]["samples_per_s"] for name in ("nanogpt", "huggingface")]
    return {
        "ratio_of_samples_per_s": round(both[0] / both[1], 3),
        "same_samples": texts("nanogpt") == texts("huggingface"),
        "n_parameters": twins["nanogpt"].n_parameters,
        "rows": n_rows,
        "contenders": figures,
    }


def load_plain(path: Path, loaded: LoadedModel) -> PreTrainedModel:
    """Load the model as a user of transformers does, to where `loaded` is."""
    model: Any = AutoModelForCausalLM.from_pretrained(
        path, dtype=loaded.dtype, local_files_only=True
    )
    return cast(PreTrainedModel, model.to(loaded.device).eval())


def machine(device: torch.device) -> dict[str, Any]:
    """Describe what this was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return {
        "processor": next((s.partition(":")[2].strip() for s in lines if "model name" in s), None),
        "n_cores": len(os.sched_getaffinity(0)),
        "n_threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def main() -> None:
    """Run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--checkpoint", default="checkpoints/step_2000")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--rows", type=int, help="default: what codebench takes for the device")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    starting = first_token(options.checkpoint, options.device, repetitions=options.repetitions)

    device = choose_device(options.device)
    set_threads(None)
    checkpoint = resolve_checkpoint(options.checkpoint)
    loaded = load_huggingface(checkpoint, device, notify=lambda _: None)
    sets = [load_prompt_set("rust-basics")]
    plan = make_plan(sets, n_samples=options.samples, samples_per_prompt=None, limit=None, seed=0)
    params = SamplingParams()
    work = Work(
        loaded=loaded,
        plain=load_plain(checkpoint.path, loaded),
        params=params,
        requests=tuple(plan.requests()),
    )
    skewed = replace(
        work,
        loaded=replace(loaded, eos_ids=frozenset()),
        lengths=skewed_lengths(options.samples, params.max_tokens),
    )
    n_rows = options.rows or int(RowSampler(loaded, params).describe()["rows"])
    rows = partial(engine_rows, n_rows=n_rows)
    falling = alternate(
        work,
        {
            "rows": rows,
            "generate_all": generate,
            "one_row": partial(engine_rows, n_rows=1),
            "generate_one": generate_each,
        },
        repetitions=options.repetitions,
    )
    planned = alternate(
        skewed, {"rows": rows, "generate_all": generate}, repetitions=options.repetitions
    )
    facts, timing, context = look_at_rows(work, n_rows)
    figures = {
        "checkpoint": {
            "name": checkpoint.path.name,
            "model_type": loaded.model_type,
            "n_parameters": loaded.n_parameters,
            "dtype": str(loaded.dtype).removeprefix("torch."),
        },
        "n_samples": options.samples,
        "rows": n_rows,
        "sampling": params.model_dump(),
        "ratios_of_samples_per_s": {
            "rows_to_one_row": ratio(falling, "one_row"),
            "rows_to_generate_one": ratio(falling, "generate_one"),
            "rows_to_generate_all": ratio(falling, "generate_all"),
            "rows_to_generate_all_skewed": ratio(planned, "generate_all"),
        },
        "lengths_as_they_fall": falling,
        "lengths_skewed": planned,
        "nanogpt_to_huggingface": nanogpt_to_huggingface(
            work, checkpoint.path / "tokenizer.json", repetitions=options.repetitions
        ),
        "rows_in_use": facts,
        "bound": bound_of(work, n_rows, timing, context),
        "first_token": starting,
        "machine": machine(device),
        "load_average": {"before": load_before, "after": os.getloadavg()[0]},
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
