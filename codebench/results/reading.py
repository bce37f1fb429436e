"""Read results.json again: a file, a run directory, or every result below a folder.

Covers: files of this version and of earlier ones. A key that an earlier codebench did not write is
read as null or as empty, never as a number; a key that we do not know is left alone. Does not
cover: files of a later `schema_version`, whose keys may mean something else; those are refused.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from codebench import SCHEMA_VERSION
from codebench.errors import UsageError
from codebench.results.model import Results
from codebench.store.run_directory import MANIFEST_NAME, SAMPLES_NAME

RESULTS_NAME = "results.json"
_MARK = b'"compile_success_rate"'
_HEAD_BYTES = 4096
_STAND_INS: tuple[object, ...] = (None, [], {})
_MAX_REPAIRS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The results of one run, and where they were found."""

    results: Results
    """What the file says."""

    path: Path
    """The file."""

    run_dir: Path | None
    """The run directory around it, with its samples.jsonl; None for a file that stands alone."""

    @property
    def samples(self) -> Path | None:
        """The file with the samples; None for results that stand alone."""
        return self.run_dir / SAMPLES_NAME if self.run_dir else None


class Collection(NamedTuple):
    """What lies below a folder."""

    loaded: tuple[Loaded, ...]
    """Readable results, lowest step first; a copy of a run's own file is left out."""

    broken: tuple[str, ...]
    """One line for each file that should be results and cannot be read."""


def load_results(path: Path) -> Loaded:
    """Read the results of one run.

    Args:
        path: a file, or a run directory.

    Raises:
        UsageError: if there is no such file, or if it is no results.json that we can read; names
            the file and the first thing that is wrong with it.
    """
    file = _results_file(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    fields = _fields(content, file)
    beside = file.name == RESULTS_NAME and (file.parent / SAMPLES_NAME).is_file()
    return Loaded(
        results=_validated(fields, file), path=file, run_dir=file.parent if beside else None
    )


def find_results(folder: Path) -> list[Path]:
    """Return every file below a folder that is, or is named like, a results.json; by name.

    Hidden folders and links to folders are not entered. Of each JSON file the first 4 kB are read.

    Raises:
        UsageError: if there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    return sorted(path for path in _json_files(folder) if _looks_like_results(path))


def load_folder(folder: Path) -> Collection:
    """Read every result below a folder; a file that cannot be read is named, not fatal.

    Raises:
        UsageError: if there is no such folder.
    """
    loaded: dict[tuple[str, str, int], Loaded] = {}
    broken = []
    for path in find_results(folder):
        try:
            one = load_results(path)
        except UsageError as error:
            broken.append(str(error))
            continue
        results = one.results
        key = (results.run_id, results.timestamp, results.total_samples)
        if key not in loaded or (one.run_dir and not loaded[key].run_dir):
            loaded[key] = one
    return Collection(tuple(sorted(loaded.values(), key=_by_step)), tuple(broken))


def _by_step(one: Loaded) -> tuple[float, str, str]:
    step = one.results.step
    return (float("inf") if step is None else step, one.results.timestamp, str(one.path))


def _results_file(path: Path) -> Path:
    if not path.is_dir():
        if not path.exists():
            raise UsageError(f"there is no file or run directory {path}")
        return path
    file = path / RESULTS_NAME
    if file.is_file():
        return file
    if (path / MANIFEST_NAME).is_file():
        raise UsageError(
            f"the run in {path} has no {RESULTS_NAME} yet: its `codebench run` goes on when it is"
            " given again"
        )
    raise UsageError(f"{path} holds no {RESULTS_NAME}; `codebench history {path}` looks below it")


def _json_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(".json") and not name.startswith("."):
                yield Path(place, name)


def _looks_like_results(path: Path) -> bool:
    if path.name.startswith(("results", "benchmark_results")):
        return path.is_file()
    try:
        with path.open("rb") as file:
            return _MARK in file.read(_HEAD_BYTES)
    except OSError:
        return False


def _fields(content: bytes, file: Path) -> dict[str, object]:
    try:
        fields = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        what = "empty" if not content.strip() else f"no whole JSON ({error})"
        raise UsageError(f"{file} is {what}; was it cut off or copied while written?") from error
    version = fields.get("schema_version") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or type(version) is not int:
        raise UsageError(f"{file} is no results.json of codebench: it has no schema_version")
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{file} was written by a later codebench (schema_version {version}, this one reads up"
            f" to {SCHEMA_VERSION}); upgrade codebench"
        )
    return fields


def _validated(fields: dict[str, object], file: Path) -> Results:
    """Return the results, with a stand-in for each key that an earlier version did not write."""
    tries: dict[tuple[str | int, ...], int] = {}
    for _ in range(_MAX_REPAIRS):
        try:
            return Results.model_validate(fields)
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_input=False):
                place = problem["loc"]
                known = problem["type"] == "missing" or place in tries
                if problem["type"] == "extra_forbidden":
                    del _parent(fields, place)[place[-1]]
                elif known and tries.get(place, 0) < len(_STAND_INS):
                    _parent(fields, place)[place[-1]] = _STAND_INS[tries.get(place, 0)]
                    tries[place] = tries.get(place, 0) + 1
                else:
                    name = ".".join(map(str, place))
                    said = "is missing" if place in tries else f"is wrong: {problem['msg']}"
                    raise UsageError(
                        f"{file} is no results.json that this version reads: {name} {said}"
                    ) from error
    raise UsageError(f"{file} is no results.json that this version reads")


def _parent(fields: dict[str, object], place: Sequence[str | int]) -> dict[str | int, object]:
    """Return the object that holds the key at this place."""
    inner: object = fields
    for name in place[:-1]:
        inner = inner[name]  # type: ignore[index]  # the place comes from pydantic
    assert isinstance(inner, dict)
    return inner
