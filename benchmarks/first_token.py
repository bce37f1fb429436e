"""How long from the start of Python to the first token? Prints the seconds of each part as JSON.

The time of the start is given by who starts it, on the monotonic clock; without it the start of
Python itself does not count. `sampling.py` runs this in fresh processes and takes medians.

    python benchmarks/first_token.py checkpoints/step_2000 --device cpu
"""

import argparse
import itertools
import json
import time

PARTS = ("python", "import_torch", "import_transformers", "load", "first_token")


def main() -> None:
    """Open the checkpoint as a run does, draw one token and print the times."""
    parser = argparse.ArgumentParser(description="seconds from the start to the first token")
    parser.add_argument("checkpoint")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--started", type=float, default=time.monotonic())
    options = parser.parse_args()
    marks = [options.started, time.monotonic()]
    import torch  # noqa: F401

    marks.append(time.monotonic())
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401

    marks.append(time.monotonic())
    from codebench.checkpoints.resolve import resolve_checkpoint
    from codebench.plan import make_plan
    from codebench.prompts import load_prompt_set
    from codebench.sampling.completion import SamplingParams
    from codebench.sampling.opening import open_sampler

    checkpoint = resolve_checkpoint(options.checkpoint)
    sampler = open_sampler(checkpoint, SamplingParams(max_tokens=1), device=options.device)
    marks.append(time.monotonic())
    plan = make_plan(
        [load_prompt_set("rust-basics")],
        n_samples=1,
        samples_per_prompt=None,
        limit=None,
        seed=0,
    )
    list(sampler.sample(plan.requests()))
    marks.append(time.monotonic())
    spans = (after - before for before, after in itertools.pairwise(marks))
    print(json.dumps(dict(zip(PARTS, spans, strict=True))))


if __name__ == "__main__":
    main()
