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
    """Time in the sandbox, summed over its slots."""

    queue_s: float
    """Time that completions waited for a slot, summed over samples."""

    n_resumed_samples: int
    """Samples that were found on disk, judged already."""

    sampler: SamplerTiming | None
    """What the sampler measured; None when nothing was left to draw."""

    def results(self) -> Timing:
        """Return the timing part of the results."""
        sampler = self.sampler
        sampling_s = sampler.prefill_s + sampler.decode_s if sampler else 0.0
        return Timing(
            wall_s=self.wall_s,
            startup_s=self.startup_s,
            sampling_s=sampling_s,
            prefill_s=sampler.prefill_s if sampler else 0.0,
            decode_s=sampler.decode_s if sampler else 0.0,
            compiling_s=self.compiling_s,
            queue_s=self.queue_s,
            other_s=max(0.0, self.wall_s - self.startup_s - sampling_s),
            n_prompt_tokens=sampler.n_prompt_tokens if sampler else 0,
            n_generated_tokens=sampler.n_generated_tokens if sampler else 0,
            n_wasted_tokens=sampler.n_wasted_tokens if sampler else 0,
            n_resumed_samples=self.n_resumed_samples,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the run loop knows and the records do not."""

    timestamp: str
    """When the run ended, UTC, ISO 8601 with Z."""

    n_samples: int
    """Number of samples that were asked for, over all prompts."""

    environment: Environment
    """What this invocation ran on and with."""

    timing: RunTiming
    stopped_by: str | None = None
    """What ended the run before its last sample, as "--timeout 30min"; None when nothing did."""

    warnings: tuple[RunWarning, ...] = ()
    """Warnings of the run loop; those that follow from the numbers are added here."""


def warnings_of(
    run: Tally, n_prompts: int, manifest: Manifest, facts: RunFacts
) -> Iterator[RunWarning]:
    """Yield the warnings that follow from the numbers."""
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
