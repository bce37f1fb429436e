"""A sandbox that runs nothing and answers as it is told, for tests of what is around it."""

from collections.abc import Callable

from codebench.sandbox.execution import Execution, SandboxInfo, Step, StepResult, StoppedBy


class ScriptedSandbox:
    """A `Sandbox` whose answers come from a function of the step, which may raise SandboxError."""

    def __init__(self, answer: Callable[[Step], StepResult], *, n_slots: int = 2) -> None:
        self._answer, self._n_slots = answer, n_slots
        self.steps: list[Step] = []
        """Every step that it was asked to run."""

    def run(self, step: Step) -> StepResult:
        """See `Sandbox`."""
        self.steps.append(step)
        return self._answer(step)

    def info(self) -> SandboxInfo:
        """See `Sandbox`."""
        return SandboxInfo(
            kind="scripted",
            isolation="none",
            n_slots=self._n_slots,
            image=None,
            rustc=None,
            python=None,
        )

    def close(self) -> None:
        """See `Sandbox`."""


def scripted_result(
    step: Step,
    *,
    exit_code: int | None = 0,
    stopped_by: StoppedBy | None = None,
    stderr: bytes = b"",
) -> StepResult:
    """Return a result with these facts and no others of note."""
    execution = Execution(
        stage=step.stage,
        exit_code=exit_code,
        signal=None,
        stopped_by=stopped_by,
        cpu_s=0.0,
        wall_s=0.0,
        peak_memory_bytes=0,
        n_stdout_bytes=0,
        n_stderr_bytes=len(stderr),
    )
    return StepResult(execution, b"", stderr)
