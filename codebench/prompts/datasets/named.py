"""A data set by its name: from the cache folder, or fetched where that was asked for."""

from pathlib import Path

from codebench.errors import EnvironmentProblem
from codebench.prompts.datasets.cache import fetch, find_file, missing, recorded_sha256
from codebench.prompts.datasets.catalogue import DataSet
from codebench.prompts.datasets.formats import read_data_set
from codebench.prompts.model import Profile, PromptSet


def load_data_set(data_set: DataSet, *, download: bool, profile: Profile) -> PromptSet:
    """Load a data set.

    Raises:
        UsageError: if its file is broken, or the profile is not for it.
        EnvironmentProblem: if the file is not here, cannot be fetched, or has changed.
    """
    path = find_file(data_set)
    if path is None:
        if not download:
            raise missing(data_set)
        path = fetch(data_set)
    loaded = read_data_set(path, name=data_set.name, profile=profile)
    version, notes = _version(data_set, path, loaded)
    n_prompts = len(loaded.prompts)
    if data_set.n_prompts not in (None, n_prompts):
        notes += (f"{n_prompts} prompts, and the published set has {data_set.n_prompts}",)
    notes += loaded.notes
    description = data_set.description
    return loaded.model_copy(
        update={"version": version, "description": description, "notes": notes}
    )


def _version(data_set: DataSet, path: Path, loaded: PromptSet) -> tuple[str, tuple[str, ...]]:
    """Return the version to show, and what is to be said about where the file is from."""
    if loaded.sha256 == data_set.sha256:
        return data_set.version, ()
    recorded = recorded_sha256(path)
    if recorded is None:
        pinned = f" (that is SHA-256 {data_set.sha256})" if data_set.sha256 else ""
        return loaded.version, (f"{path} was put there by hand, not fetched{pinned}",)
    if recorded != loaded.sha256:
        raise EnvironmentProblem(
            f"{path} is not the file that was downloaded (its SHA-256 is not that of"
            f" {path.name}.sha256): delete both and use --download"
        )
    said = f"SHA-256 {recorded} of {path.name} is that of the first download: none was pinned"
    return data_set.version, (said,)
