"""What the run loop knows and the records do not, and the warnings that follow from both."""

from collections.abc import Iterator
from dataclasses import dataclass

from codebench.results.parts import RunWarning, Timing
from codebench.results.tally import Tally
from codebench.sampling.completion import SamplerTiming
from codebench.store.manifest import Environment, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTiming:
    """Where the time of this invocation went, in seconds."""

    wall_s: float
    startup_s: float
    """Until the first sample was asked for, loading the checkpoint included."""

    compiling_s: float
    """Time of compiling in the sandbox, summed over its slots."""

    queue_s: float
    """Time that completions waited for a slot, summed over samples."""

    n_resumed_samples: int
    """Samples that were found on disk, judged already."""

    sampler: SamplerTiming | None
    """What the sampler measured; None when nothing was left to draw."""

    testing_s: float = 0.0
    """Time of building with tests and running them, summed over the slots."""

    bound_tokens_per_second: float | None = None
    """Most that the machine could decode of this model; None where it is not known."""

    def results(self) -> Timing:
        """Return the timing part of the results."""
        drawn = self.sampler or _NOTHING_DRAWN
        sampling_s = drawn.prefill_s + drawn.decode_s
        decode_rate = _per(drawn.n_generated_tokens, drawn.decode_s)
        bound = self.bound_tokens_per_second
        return Timing(
            wall_s=self.wall_s,
            startup_s=self.startup_s,
            sampling_s=sampling_s,
            prefill_s=drawn.prefill_s,
            decode_s=drawn.decode_s,
            compiling_s=self.compiling_s,
            testing_s=self.testing_s,
            queue_s=self.queue_s,
            other_s=max(0.0, self.wall_s - self.startup_s - sampling_s),
            n_prompt_tokens=drawn.n_prompt_tokens,
            n_generated_tokens=drawn.n_generated_tokens,
            n_wasted_tokens=drawn.n_wasted_tokens,
            wasted_share=_per(
                drawn.n_wasted_tokens, drawn.n_wasted_tokens + drawn.n_generated_tokens
            ),
            rows_occupied_share=_per(drawn.n_occupied_row_steps, drawn.n_row_steps),
            prefill_tokens_per_second=_per(drawn.n_prompt_tokens, drawn.prefill_s),
            decode_tokens_per_second=decode_rate,
            bound_tokens_per_second=bound,
            bound_share=_per(decode_rate, bound) if decode_rate and bound else None,
            n_resumed_samples=self.n_resumed_samples,
        )


_NOTHING_DRAWN = SamplerTiming(
    load_s=0.0,
    prefill_s=0.0,
    decode_s=0.0,
    n_prompt_tokens=0,
    n_generated_tokens=0,
    n_wasted_tokens=0,
)


def _per(count: float, whole: float) -> float | None:
    return count / whole if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the run loop knows and the records do not."""

    timestamp: str
    """When the run ended, UTC, ISO 8601 with Z."""

    n_samples: int
    """Number of samples that were asked for, over all prompts."""

    environment: Environment
    """What this invocation ran on and with."""

    timing: Timing
    stopped_by: str | None = None
    """What ended the run before its last sample, as "--timeout 30min"; None when nothing did."""

    warnings: tuple[RunWarning, ...] = ()
    """Warnings of the run loop; those that follow from the numbers are added here."""


def warnings_of(
    run: Tally, n_prompts: int, manifest: Manifest, facts: RunFacts
) -> Iterator[RunWarning]:
    """Yield the warnings that follow from the numbers, and what the prompt sets say."""
    for prompt_set in manifest.prompt_sets:
        for note in prompt_set.notes:
            yield RunWarning(code="prompt_set", message=f"{prompt_set.name}: {note}")
    n_errored = run.total - run.judged
    if n_errored:
        lowest = 100.0 * run.compiled / run.total
        yield RunWarning(
            code="infra_errors",
            message=f"{n_errored} of {run.total} samples could not be judged (infra_error) and are"
            f" left out; counted as failures, compile_success_rate would be {lowest:.1f}",
        )
    if facts.n_samples < n_prompts:
        yield RunWarning(
            code="few_samples",
            message=f"{facts.n_samples} samples over {n_prompts} prompts: some prompts have none",
        )
    if run.total < facts.n_samples:
        reason = f", ended by {facts.stopped_by}" if facts.stopped_by else ""
        yield RunWarning(
            code="partial",
            message=f"{run.total} of {facts.n_samples} samples{reason};"
            " the same command again goes on",
        )
    changed = [
        name
        for name in ("rustc", "python", "image", "sandbox", "isolation")
        if getattr(manifest.environment, name) != getattr(facts.environment, name)
    ]
    if changed:
        yield RunWarning(
            code="environment_changed",
            message=f"the run was started with another {', '.join(changed)};"
            " its samples were not all judged alike",
        )
