"""The order of results in a file, and what one of them is called."""

from collections.abc import Sequence

from codebench.errors import UsageError
from codebench.results.model import Results
from codebench.results.reading import Loaded


def by_step(loaded: Sequence[Loaded]) -> list[Loaded]:
    """Return the runs, lowest step first; those without a step last, by time."""

    def key(one: Loaded) -> tuple[float, str]:
        step = one.results.step
        return (float("inf") if step is None else step, one.results.timestamp)

    return sorted(loaded, key=key)


def label_of(results: Results) -> str:
    """Return a short name: `step 2000`, or the checkpoint as it was named."""
    return results.checkpoint if results.step is None else f"step {results.step}"


def only_one(loaded: Sequence[Loaded], what: str) -> Loaded:
    """Return the one run.

    Raises:
        UsageError: if there are more: such a file holds one.
    """
    if len(loaded) != 1:
        raise UsageError(f"{what} holds one run, and {len(loaded)} were given: export each alone")
    return loaded[0]
