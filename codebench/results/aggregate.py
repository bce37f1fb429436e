"""Turn a stream of records into `Results`, in memory that does not grow with the samples.

(But for 8 bytes of hash a distinct program and a distinct shape: what tells distinct ones from
repeated ones.)
"""

from collections.abc import Iterable, Sequence

from codebench import METRIC_VERSION, SCHEMA_VERSION
from codebench.prompts.model import Prompt, PromptSet
from codebench.results.facts import RunFacts, warnings_of
from codebench.results.model import Results
from codebench.results.parts import (
    Clippy,
    Intervals,
    LanguageResults,
    PromptResults,
    PromptTests,
    Sampling,
    Tests,
)
from codebench.results.quality import PromptQuality, RunQuality, ShapeOf
from codebench.results.rates import mean_at_k, rate_intervals
from codebench.results.tally import K_VALUES, BoundedCounter, Tally, percent
from codebench.stats import Count
from codebench.store.manifest import Manifest
from codebench.store.record import SampleRecord

MAX_COMPILE_ERRORS = 50
MAX_COMMON_ERRORS = 10
N_SAMPLE_OUTPUTS = 3
MAX_OUTPUT_CHARS = 2000
MAX_DISTINCT_PER_PROMPT = 200


class Aggregator:
    """Counts records one by one; `finish` gives the results, as often as wanted."""

    def __init__(
        self,
        prompt_sets: Sequence[PromptSet],
        *,
        runs_tests: bool = False,
        shape_of: ShapeOf | None = None,
        k_values: Sequence[int] = K_VALUES,
    ) -> None:
        """Prepare to count.

        Args:
            prompt_sets: the sets of the run, cut to the prompts that it asks.
            runs_tests: whether the run runs the tests of the prompts; without, pass@k is empty.
            shape_of: gives the shapes of the prompts' references; without, no program is compared
                with them by shape.
            k_values: the k of pass@k and compile@k.
        """
        self._prompts = {
            (prompt_set.name, prompt.id): _PromptTally(
                prompt_set.name,
                prompt,
                tested=runs_tests and bool(prompt.tests),
                k_values=k_values,
                quality=PromptQuality(prompt, shape_of),
            )
            for prompt_set in prompt_sets
            for prompt in prompt_set.prompts
        }
        self._languages = {prompt_set.language: Tally() for prompt_set in prompt_sets}
        self._run = Tally()
        self._quality = RunQuality(prompt.quality for prompt in self._prompts.values())

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
            tally.add(record, tested=prompt.tested)
        prompt.add_output(record.index, record.completion)
        self._quality.add(record, prompt.quality)
        return True

    def finish(self, manifest: Manifest, facts: RunFacts) -> Results:
        """Return the results of what was added so far."""
        run, timing = self._run, facts.timing
        prompts = list(self._prompts.values())
        n_generated, busy_s = timing.n_generated_tokens, timing.sampling_s
        max_tokens = manifest.identity.sampling.max_tokens
        degeneration = self._quality.degeneration(max_tokens=max_tokens)
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
            pass_rate=run.pass_rate(),
            tests=_tests(run),
            error_classes=dict(run.error_classes.most_common()),
            extractions=dict(run.extractions.most_common()),
            languages={
                language.value: _language_results(
                    tally, [p for p in prompts if p.prompt.language is language]
                )
                for language, tally in self._languages.items()
            },
            diversity=self._quality.diversity(),
            degeneration=degeneration,
            similarity=self._quality.similarity(),
            clippy=_clippy(run),
            ratings=None,
            timing=timing,
            sampling=_sampling(manifest, facts.n_samples),
            environment=facts.environment,
            checkpoint_info=manifest.checkpoint_info,
            prompt_sets=manifest.prompt_sets,
            warnings=(
                *self._quality.warnings(degeneration.collapse, max_tokens=max_tokens),
                *facts.warnings,
                *warnings_of(run, len(prompts), manifest, facts),
            ),
        )


class _PromptTally:
    """The counts of one prompt, and its first completions."""

    def __init__(
        self,
        prompt_set: str,
        prompt: Prompt,
        *,
        tested: bool,
        k_values: Sequence[int],
        quality: PromptQuality,
    ) -> None:
        self.prompt_set = prompt_set
        self.prompt = prompt
        self.quality = quality
        self.tested = tested
        self._k_values = k_values
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
            judged=tally.tested,
            passed=tally.passed,
            pass_rate=tally.pass_rate(),
            built_with_tests=tally.built_with_tests,
            shared=bool(tally.shared),
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
            compile_at_k=self.compile_at_k(),
            pass_at_k=self.pass_at_k(),
            tests=tests if self.tested else None,
            similarity=self.quality.similarity(),
            n_repetitive=self.quality.n_repetitive,
        )

    def compile_at_k(self) -> dict[str, float]:
        """Return compile@k by k, 0-1."""
        return self.tally.compile_at_k(self._k_values)

    def pass_at_k(self) -> dict[str, float]:
        """Return pass@k by k, 0-1; empty without tests."""
        return self.tally.pass_at_k(self._k_values) if self.tested else {}


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
        pass_rate=tally.pass_rate(),
        tests=_tests(tally),
    )


def _intervals(whole: Tally, prompts: Sequence[_PromptTally]) -> Intervals:
    tested = [prompt.tally for prompt in prompts if prompt.tested]
    return Intervals(
        compile_success_rate=rate_intervals(
            Count(whole.compiled, whole.judged),
            [Count(prompt.tally.compiled, prompt.tally.judged) for prompt in prompts],
        ),
        pass_rate=rate_intervals(
            Count(whole.passed, whole.tested),
            [Count(tally.passed, tally.tested) for tally in tested],
        )
        if whole.tested
        else None,
    )


def _tests(whole: Tally) -> Tests | None:
    if not whole.tested:
        return None
    return Tests(
        judged=whole.tested,
        passed=whole.passed,
        built_with_tests=whole.built_with_tests,
        build_with_tests_rate=percent(whole.built_with_tests, whole.tested),
        n_shared=whole.shared,
    )


def _mean_compile_at_k(prompts: Iterable[_PromptTally]) -> dict[str, float]:
    return mean_at_k([p.compile_at_k() for p in prompts if p.tally.total])


def _mean_pass_at_k(prompts: Iterable[_PromptTally]) -> dict[str, float]:
    return mean_at_k([p.pass_at_k() for p in prompts if p.tally.total and p.tested])


def _clippy(run: Tally) -> Clippy | None:
    n_checked = run.lints_per_sample.n
    if not n_checked:
        return None
    return Clippy(
        n_checked=n_checked,
        n_clean=run.clean,
        clean_rate=percent(run.clean, n_checked),
        lints_per_sample=run.lints_per_sample.value(),
        lints=run.lints.ranked(),
    )


def _sampling(manifest: Manifest, n_samples: int) -> Sampling:
    identity = manifest.identity
    return Sampling(
        **identity.sampling.model_dump(),
        seed=identity.seed,
        n_samples=n_samples,
        extract=identity.extract,
        options=identity.options,
    )
