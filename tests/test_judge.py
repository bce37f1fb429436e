"""One completion, judged: what the steps of a sample leave in its record."""

from codebench.analysis.client import Analyzer
from codebench.extract import ExtractMode
from codebench.grading import Grader
from codebench.judge import Judge
from codebench.languages.verdict import Outcome
from codebench.prompts import load_prompt_set
from codebench.sampling.completion import Completion, FinishReason, SampleRequest
from codebench.sandbox.execution import Step, StepResult, StoppedBy
from codebench.sandbox.scripted import ScriptedSandbox, scripted_result
from codebench.store.record import SampleRecord

PYTHON = load_prompt_set("python-basics")


def out_of_time(step: Step) -> StepResult:
    """End a step at its CPU time, as the pool tells it: tried again alone."""
    result = scripted_result(step, exit_code=None, stopped_by=StoppedBy.CPU_TIME)
    execution = result.execution.model_copy(update={"retried_alone": True})
    return result._replace(execution=execution)


def judged(sandbox: ScriptedSandbox, *, text: str, tested: bool) -> SampleRecord:
    """Judge one completion of the first prompt of python-basics."""
    prompt = PYTHON.prompts[0]
    completion = Completion(
        request=SampleRequest(prompt=prompt, index=0, seed=0, prompt_set=PYTHON.name),
        text=text,
        finish_reason=FinishReason.EOS,
        n_tokens=1,
        generation_ms=0.0,
    )
    with Analyzer() as analyzer:
        grader = Grader(sandbox, analyzer) if tested else None
        judge = Judge(sandbox, analyzer, extract=ExtractMode.AUTO, grader=grader)
        return judge.judge(completion, queue_ms=0.0)


def test_a_test_that_ran_out_of_time_twice_says_so() -> None:
    """The second try of tests is told by a flag, as that of a compilation is."""
    sandbox = ScriptedSandbox(out_of_time)
    record = judged(sandbox, text=PYTHON.prompts[0].reference or "", tested=True)
    assert record.flags == ("timeout_retried",)


def test_the_flag_is_kept_for_a_compilation() -> None:
    """Without tests the compilation's second try is told in the same way."""
    sandbox = ScriptedSandbox(out_of_time)
    record = judged(sandbox, text=PYTHON.prompts[0].reference or "", tested=False)
    assert record.flags == ("timeout_retried",)
    assert record.outcome is not Outcome.COMPILED
