"""A results file in the shape of lm-evaluation-harness: one task a prompt set, values 0-1.

For tools that read lm-eval's files. It was not made by lm-eval, and says so: `lm_eval_version` is
null and each task's config names codebench.
Source: lm-eval 0.4.13 `result_schema.py`; keys `metric,filter` with the filter "none".
"""

from collections.abc import Sequence
from datetime import datetime

import orjson

from codebench.export.order import only_one
from codebench.results.model import Results
from codebench.results.parts import PromptResults
from codebench.results.reading import Loaded
from codebench.stats import wilson_interval

_Z95 = 1.959963984540054
_NO_FILTER = "none"


def lm_eval(loaded: Sequence[Loaded]) -> bytes:
    """Return the JSON of one run.

    The standard error of the compile rate is Wilson's 95 % interval / (2 * 1.96): near sqrt(p * (1
    - p) / n), and not 0 where all samples or none compile. Those of pass@k are "N/A".

    Raises:
        UsageError: if there are several runs.
    """
    results = only_one(loaded, "an lm-eval file").results
    by_task = {
        one.name: [p for p in results.samples_by_prompt if p.prompt_set == one.name]
        for one in results.prompt_sets
    }
    scores = {task: _scores(task, prompts) for task, prompts in by_task.items()}
    names = {task: _metric_names(score) for task, score in scores.items()}
    content = {
        "results": scores,
        "groups": {},
        "group_subtasks": {task: [] for task in by_task},
        "configs": {one.name: _config(results, one.name) for one in results.prompt_sets},
        "versions": {one.name: one.version for one in results.prompt_sets},
        "n-shot": dict.fromkeys(by_task, 0),
        "higher_is_better": {task: dict.fromkeys(names[task], True) for task in by_task},
        "n-samples": {
            one.name: {"original": one.n_prompts, "effective": len(by_task[one.name])}
            for one in results.prompt_sets
        },
        "config": _run_config(results),
        "git_hash": (results.environment.git or {}).get("commit"),
        "date": datetime.fromisoformat(results.timestamp).timestamp(),
        "pretty_env_info": _environment(results),
        "transformers_version": results.environment.packages.get("transformers"),
        "lm_eval_version": None,
        "upper_git_hash": None,
        "task_hashes": {one.name: one.sha256 for one in results.prompt_sets},
        "model_source": results.checkpoint_info.format,
        "model_name": results.checkpoint,
        "model_name_sanitized": results.checkpoint.replace("/", "__"),
        "total_evaluation_time_seconds": str(results.timing.wall_s),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _scores(task: str, prompts: Sequence[PromptResults]) -> dict[str, float | str | int]:
    judged = sum(prompt.judged for prompt in prompts)
    compiled = sum(prompt.compile_success for prompt in prompts)
    scores: dict[str, float | str | int] = {"name": task, "alias": task, "sample_len": judged}
    bounds = wilson_interval(compiled, judged)
    if bounds is not None:
        scores[f"compile_rate,{_NO_FILTER}"] = compiled / judged
        scores[f"compile_rate_stderr,{_NO_FILTER}"] = (bounds.high - bounds.low) / (2 * _Z95)
    tested = [prompt.pass_at_k for prompt in prompts if prompt.judged and prompt.tests]
    for k in sorted({int(k) for by_k in tested for k in by_k}):
        values = [by_k[str(k)] for by_k in tested if str(k) in by_k]
        if len(values) == len(tested):
            scores[f"pass@{k},{_NO_FILTER}"] = sum(values) / len(values)
            scores[f"pass@{k}_stderr,{_NO_FILTER}"] = "N/A"
    return scores


def _metric_names(scores: dict[str, float | str | int]) -> list[str]:
    names = (key.partition(",")[0] for key in scores if "," in key)
    return [name for name in names if not name.endswith("_stderr")]


def _config(results: Results, task: str) -> dict[str, object]:
    info = next(one for one in results.prompt_sets if one.name == task)
    return {
        "task": task,
        "dataset_path": task,
        "dataset_kwargs": {"sha256": info.sha256},
        "output_type": "generate_until",
        "generation_kwargs": _generation(results),
        "num_fewshot": 0,
        "metadata": {"version": info.version, "harness": "codebench"},
    }


def _run_config(results: Results) -> dict[str, object]:
    sampler = results.environment.sampler
    return {
        "model": results.checkpoint_info.format,
        "model_args": {"pretrained": results.checkpoint_info.path or results.checkpoint},
        "model_num_parameters": sampler.get("n_parameters"),
        "model_dtype": sampler.get("dtype"),
        "batch_size": sampler.get("rows"),
        "device": sampler.get("device"),
        "limit": None,
        "bootstrap_iters": 0,
        "gen_kwargs": _generation(results),
        "random_seed": results.sampling.seed,
        "numpy_seed": None,
        "torch_seed": None,
        "fewshot_seed": None,
    }


def _generation(results: Results) -> dict[str, object]:
    sampling = results.sampling
    return {
        "do_sample": sampling.temperature > 0,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "max_gen_toks": sampling.max_tokens,
        "until": list(sampling.stop),
    }


def _environment(results: Results) -> str:
    environment = results.environment
    packages = [f"{name} {version}" for name, version in environment.packages.items()]
    return "\n".join([environment.rustc or "no rustc", environment.sandbox, *packages])
