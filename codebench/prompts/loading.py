"""Finds a prompt set: built in, a data set by name, or the user's own file.

A name is looked for among the built-in sets (the TOML files of the folder `prompts/`), then among
the data sets of others (`datasets/`); anything else is the path of a file: TOML, or JSON lines in
our own format or that of a data set. Does not cover: whether the references compile and pass; that
needs a sandbox.
"""

from pathlib import Path

from codebench.errors import UsageError
from codebench.package_data import data_path
from codebench.prompts.datasets.catalogue import DATA_SETS
from codebench.prompts.model import Profile, PromptSet
from codebench.prompts.toml_file import read_toml

_ENDINGS = (".toml", ".jsonl", ".json", ".jsonl.gz", ".json.gz")


def list_prompt_sets() -> list[PromptSet]:
    """Load every built-in prompt set, by name.

    Raises:
        UsageError: if one of the files is broken.
    """
    return [read_toml(path) for path in _built_in().values()]


def load_prompt_set(
    name_or_path: str, *, download: bool = False, profile: Profile = Profile.CODEBENCH
) -> PromptSet:
    """Load a set by its name, or any set by the path of its file.

    A name wins over a file of the same name; write `./NAME` for the file.

    Args:
        name_or_path: what `--prompts` says.
        download: fetch the file of a data set that is not on this machine.
        profile: whose rules judge; other than ours for MultiPL-E's sets only.

    Raises:
        UsageError: if there is no such set, if its file breaks the format, or if the profile is
            not for it.
        EnvironmentProblem: if the file of a data set is not here or cannot be fetched.
    """
    known = _built_in()
    if name_or_path in DATA_SETS:
        from codebench.prompts.datasets.named import load_data_set

        return load_data_set(DATA_SETS[name_or_path], download=download, profile=profile)
    path = known.get(name_or_path) or Path(name_or_path)
    if path.suffix == ".toml" and profile is not Profile.CODEBENCH:
        raise UsageError(f"--profile {profile}: {name_or_path} has no such rules")
    if name_or_path in known or path.suffix == ".toml":
        return read_toml(path)
    if "/" in name_or_path or name_or_path.endswith(_ENDINGS) or path.exists():
        from codebench.prompts.datasets.formats import read_data_set

        return read_data_set(path, profile=profile)
    raise UsageError(
        f"unknown prompt set {name_or_path!r}: known are {', '.join((*known, *DATA_SETS))};"
        " or give the path of a .toml, .jsonl or .jsonl.gz file"
    )


def _built_in() -> dict[str, Path]:
    return {path.stem: path for path in sorted(data_path("prompts").glob("*.toml"))}
