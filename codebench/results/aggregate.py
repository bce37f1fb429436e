"""Turn a stream of records into `Results`, in memory that does not grow with the samples.

(But for 8 bytes of hash a distinct program: what tells distinct programs from repeated ones.)
"""

import hashlib
from collections.abc import Iterable, Sequence

from codebench import METRIC_VERSION, SCHEMA_VERSION
from codebench.prompts.model import Prompt, PromptSet
from codebench.results.facts import RunFacts, warnings_of
from codebench.results.model import Results
from codebench.results.parts import (
    Degeneration,
    Diversity,
    Intervals,
    LanguageResults,
    PromptResults,
    PromptTests,
    RateIntervals,
    Sampling,
)
from codebench.results.rates import mean_at_k, rate_intervals
from codebench.results.tally import BoundedCounter, Tally, percent, share
from codebench.sampling.completion import FinishReason
from codebench.store.manifest import Manifest
from codebench.store.record import SampleRecord

MAX_COMPILE_ERRORS = 50
MAX_COMMON_ERRORS = 10
N_SAMPLE_OUTPUTS = 3
MAX_OUTPUT_CHARS = 2000
MAX_DISTINCT_PER_PROMPT = 200


class Aggregator:
    """Counts records one by one; `finish` gives the results, as often as wanted."""

    def __init__(self, prompt_sets: Sequence[PromptSet], *, runs_tests: bool = False) -> None:
        """Prepare to count.

        Args:
            prompt_sets: the sets of the run, cut to the prompts that it asks.
            runs_tests: whether the run runs the tests of the prompts; without, pass@k is empty.
        """
        self._prompts = {
            (prompt_set.name, prompt.id): _PromptTally(
                prompt_set.name, prompt, runs_tests=runs_tests
            )
            for prompt_set in prompt_sets
            for prompt in prompt_set.prompts
        }
        self._languages = {prompt_set.language: Tally() for prompt_set in prompt_sets}
        self._run = Tally()
        self._program_hashes: set[int] = set()
        self._n_repetition = self._n_truncated = self._n_empty = 0

    @property
    def tally(self) -> Tally:
        """The counts so far, for a progress line; not to be changed."""
        return self._run

    def add(self, record: SampleRecord) -> bool:
        """Count one sample, and say whether it was counted: not when its prompt is not asked here.

        A sample is counted as often as it is added: add an infra_error only when it is final.
        """
        prompt = self._prompts.get((record.prompt_set, record.prompt_id))
        if prompt is None:
            return False
        for tally in (self._run, self._languages[record.language], prompt.tally):
            tally.add(record)
        prompt.add_output(record.index, record.completion)
        program = f"{record.language}\n{record.program}".encode()
        digest = hashlib.blake2b(program, digest_size=8).digest()
        self._program_hashes.add(int.from_bytes(digest, "little"))
        self._n_repetition += record.finish_reason is FinishReason.REPETITION
        self._n_truncated += record.finish_reason is FinishReason.LENGTH
        self._n_empty += not record.completion.strip()
        return True

    def finish(self, manifest: Manifest, facts: RunFacts) -> Results:
        """Return the results of what was added so far."""
        run, timing = self._run, facts.timing
        prompts = list(self._prompts.values())
        n_generated, busy_s = timing.n_generated_tokens, timing.sampling_s
        return Results(
            checkpoint=manifest.checkpoint,
            timestamp=facts.timestamp,
            total_samples=run.total,
            compile_success_rate=run.compile_success_rate(),
            compile_errors=tuple(run.errors.ranked())[:MAX_COMPILE_ERRORS],
            avg_lines=run.lines.value(),
            avg_functions=run.functions.value(),
            avg_complexity=run.complexity.value(),
            avg_generation_time_ms=run.generation_ms.value(),
            tokens_per_second=n_generated / busy_s if n_generated and busy_s else None,
            samples_by_prompt=tuple(prompt.results() for prompt in prompts),
            schema_version=SCHEMA_VERSION,
            metric_version=METRIC_VERSION,
            run_id=manifest.run_id,
            step=manifest.checkpoint_info.step,
            judged=run.judged,
            compiled=run.compiled,
            outcomes=run.outcome_counts(),
            error_codes=run.error_codes.ranked(),
            warnings_per_sample=run.warnings.value(),
            intervals=_intervals(run, prompts),
            pass_at_k=_mean_pass_at_k(prompts),
            compile_at_k=_mean_compile_at_k(prompts),
            languages={
                language.value: _language_results(
                    tally, [p for p in prompts if p.prompt.language is language]
                )
                for language, tally in self._languages.items()
            },
            diversity=Diversity(
                unique_programs=len(self._program_hashes),
                unique_share=share(len(self._program_hashes), run.total),
            ),
            degeneration=Degeneration(
                n_repetition=self._n_repetition,
                n_truncated=self._n_truncated,
                n_empty=self._n_empty,
                repetition_share=share(self._n_repetition, run.total),
                truncated_share=share(self._n_truncated, run.total),
                empty_share=share(self._n_empty, run.total),
            ),
            timing=timing,
            sampling=_sampling(manifest, facts.n_samples),
            environment=facts.environment,
            checkpoint_info=manifest.checkpoint_info,
            prompt_sets=manifest.prompt_sets,
            warnings=(*facts.warnings, *warnings_of(run, len(prompts), manifest, facts)),
        )


class _PromptTally:
    """The counts of one prompt, and its first completions."""

    def __init__(self, prompt_set: str, prompt: Prompt, *, runs_tests: bool) -> None:
        self.prompt_set = prompt_set
        self.prompt = prompt
        self.tested = runs_tests and bool(prompt.tests)
        self.tally = Tally(
            errors=BoundedCounter(MAX_DISTINCT_PER_PROMPT),
            error_codes=BoundedCounter(MAX_DISTINCT_PER_PROMPT),
        )
        self._outputs: dict[int, str] = {}

    def add_output(self, index: int, completion: str) -> None:
        """Keep the completion if its index is among the lowest so far."""
        self._outputs[index] = completion[:MAX_OUTPUT_CHARS]
        if len(self._outputs) > N_SAMPLE_OUTPUTS:
            del self._outputs[max(self._outputs)]

    def results(self) -> PromptResults:
        """Return the prompt's part of the results."""
        prompt, tally = self.prompt, self.tally
        tests = PromptTests(
            n_tests=len(prompt.tests),
            judged=tally.judged,
            passed=tally.passed,
            pass_rate=percent(tally.passed, tally.judged),
        )
        return PromptResults(
            prompt=prompt.prompt,
            n_samples=tally.total,
            compile_success=tally.compiled,
            avg_lines=tally.lines.value(),
            common_errors=tuple(tally.errors.ranked())[:MAX_COMMON_ERRORS],
            sample_outputs=tuple(self._outputs[index] for index in sorted(self._outputs)),
            id=prompt.id,
            prompt_set=self.prompt_set,
            language=prompt.language,
            category=prompt.category,
            judged=tally.judged,
            compile_success_rate=tally.compile_success_rate(),
            avg_functions=tally.functions.value(),
            avg_complexity=tally.complexity.value(),
            outcomes=tally.outcome_counts(),
            error_codes=tally.error_codes.ranked(),
            compile_at_k=tally.compile_at_k(),
            pass_at_k=tally.pass_at_k() if self.tested else {},
            tests=tests if self.tested else None,
        )


def _language_results(tally: Tally, prompts: Sequence[_PromptTally]) -> LanguageResults:
    return LanguageResults(
        total_samples=tally.total,
        judged=tally.judged,
        compiled=tally.compiled,
        compile_success_rate=tally.compile_success_rate(),
        intervals=_intervals(tally, prompts),
        outcomes=tally.outcome_counts(),
        error_codes=tally.error_codes.ranked(),
        compile_at_k=_mean_compile_at_k(prompts),
        pass_at_k=_mean_pass_at_k(prompts),
    )


def _intervals(whole: Tally, prompts: Sequence[_PromptTally]) -> Intervals:
    rate: RateIntervals = rate_intervals(whole, [prompt.tally for prompt in prompts])
    return Intervals(compile_success_rate=rate)


def _mean_compile_at_k(prompts: Iterable[_PromptTally]) -> dict[str, float]:
    return mean_at_k([p.tally.compile_at_k() for p in prompts if p.tally.total])


def _mean_pass_at_k(prompts: Iterable[_PromptTally]) -> dict[str, float]:
    return mean_at_k([p.tally.pass_at_k() for p in prompts if p.tally.total and p.tested])


def _sampling(manifest: Manifest, n_samples: int) -> Sampling:
    identity = manifest.identity
    return Sampling(
        **identity.sampling.model_dump(),
        seed=identity.seed,
        n_samples=n_samples,
        extract=identity.extract,
        options=identity.options,
    )
