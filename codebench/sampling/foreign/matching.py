"""Which prompt a foreign name means."""

from collections.abc import Sequence
from dataclasses import dataclass

from codebench.errors import UsageError
from codebench.prompts.model import Prompt, PromptSet
from codebench.sampling.foreign.samples import FoundSample


@dataclass(frozen=True, slots=True)
class Matched:
    """A sample and its prompt."""

    prompt_set: str
    prompt: Prompt
    sample: FoundSample

    @property
    def key(self) -> tuple[str, str]:
        """Name of the prompt set and id of the prompt."""
        return self.prompt_set, self.prompt.id


class PromptNames:
    """Finds prompts by what other harnesses call them.

    A name means the prompt whose "set/id" or id it is; else the one whose id is the last part of
    its path ("HumanEval/0" is "0"), unless the parts before are the name of a given set.
    """

    def __init__(self, prompt_sets: Sequence[PromptSet]) -> None:
        self._sets = {s.name: {prompt.id: prompt for prompt in s.prompts} for s in prompt_sets}

    def match(self, sample: FoundSample) -> Matched | None:
        """Return the sample with its prompt, or None where no set has it.

        Raises:
            UsageError: if prompts of two sets are meant.
        """
        found = self._named(sample.name, sample.prompt_set)
        if len(found) > 1:
            sets = " and ".join(name for name, _ in found)
            raise UsageError(
                f"{sample.name!r} is a prompt of {sets}: score one set at a time, or name the "
                f"prompt {found[0][0]}/{found[0][1].id} in the file"
            )
        return Matched(*found[0], sample) if found else None

    def known(self) -> list[str]:
        """Return every id, set by set."""
        return [prompt_id for prompts in self._sets.values() for prompt_id in prompts]

    def _named(self, name: str, prompt_set: str | None) -> list[tuple[str, Prompt]]:
        if prompt_set is not None:
            return self._in({prompt_set}, name)
        before, slash, last = name.rpartition("/")
        if slash and before in self._sets:
            return self._in({before}, last) or self._in({before}, name)
        return self._in({*self._sets}, name) or self._in({*self._sets}, last)

    def _in(self, sets: set[str], prompt_id: str) -> list[tuple[str, Prompt]]:
        return [
            (name, prompts[prompt_id])
            for name, prompts in self._sets.items()
            if name in sets and prompt_id in prompts
        ]
