"""Which samples a run consists of: the share of each prompt, and the order they are drawn in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codebench.errors import UsageError
from codebench.prompts.model import Prompt, PromptSet
from codebench.sampling.completion import SampleRequest, sample_seed


def share_evenly(n_samples: int, n_prompts: int) -> tuple[int, ...]:
    """Return how many samples each prompt gets; the first prompts get the odd ones.

    100 over 16 is four prompts with 7 and twelve with 6.
    """
    each, odd = divmod(n_samples, n_prompts)
    return tuple(each + (i < odd) for i in range(n_prompts))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPrompt:
    """One prompt of the run and how many samples it gets."""

    prompt_set: str
    prompt: Prompt
    n_samples: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Every sample of a run, not yet drawn."""

    prompts: tuple[PlannedPrompt, ...]
    seed: int

    @property
    def n_samples(self) -> int:
        """Number of samples over all prompts."""
        return sum(planned.n_samples for planned in self.prompts)

    def requests(self) -> Iterator[SampleRequest]:
        """Yield the request of every sample, the first of each prompt before the second of any.

        A run that is ended early has then seen all prompts alike.
        """
        for index in range(max(planned.n_samples for planned in self.prompts)):
            for planned in self.prompts:
                if index < planned.n_samples:
                    seed = sample_seed(run_seed=self.seed, prompt=planned.prompt, index=index)
                    yield SampleRequest(
                        prompt=planned.prompt,
                        index=index,
                        seed=seed,
                        prompt_set=planned.prompt_set,
                    )


def make_plan(
    prompt_sets: Sequence[PromptSet],
    *,
    n_samples: int | None,
    samples_per_prompt: int | None,
    limit: int | None,
    seed: int,
) -> Plan:
    """Share the samples over the prompts.

    Args:
        prompt_sets: the sets, in the order of the report; names must differ.
        n_samples: total over all prompts.
        samples_per_prompt: the other way to say it; wins over `n_samples`.
        limit: take only the first so many prompts of each set.
        seed: seed of the run.

    Raises:
        UsageError: if two sets have one name.
    """
    names = [prompt_set.name for prompt_set in prompt_sets]
    if len(set(names)) < len(names):
        raise UsageError(f"--prompts: two prompt sets are called {_first_double(names)!r}")
    chosen = [(s.name, prompt) for s in prompt_sets for prompt in s.prompts[:limit]]
    if samples_per_prompt is not None:
        counts: tuple[int, ...] = (samples_per_prompt,) * len(chosen)
    else:
        assert n_samples is not None
        counts = share_evenly(n_samples, len(chosen))
    planned = tuple(
        PlannedPrompt(prompt_set=name, prompt=prompt, n_samples=count)
        for (name, prompt), count in zip(chosen, counts, strict=True)
    )
    return Plan(planned, seed)


def _first_double(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)
