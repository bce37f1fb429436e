"""Reads a prompt set of our own format from TOML (schema_version 1).

Covers: every way in which such a file can be wrong; each is one line that names the file, the
prompt and the key. Does not cover: whether the references compile and pass; that needs a sandbox.
"""

import hashlib
import re
import tomllib
from pathlib import Path

from pydantic import BaseModel

from codebench.errors import UsageError
from codebench.prompts.model import Language, Prompt, PromptSet
from codebench.prompts.validation import checked_prompt, refuse_duplicates, validated

SCHEMA_VERSION = 1
"""The one version of the file format that this code reads."""

ID_FORM = re.compile(r"[a-z][a-z0-9_]*")


class Header(BaseModel, frozen=True, extra="forbid"):
    """The keys above the first prompt of a file."""

    schema_version: int
    name: str
    version: str
    language: Language
    description: str


def read_toml(path: Path) -> PromptSet:
    """Read one file.

    Raises:
        UsageError: if it cannot be read or breaks the format.
    """
    try:
        raw = path.read_bytes()
    except IsADirectoryError as error:
        raise UsageError(f"{path}: a folder, not a prompt set: give a .toml file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path}: cannot read the prompt set: {reason}") from error
    table = _parse(path, raw)
    if "schema_version" in table and table["schema_version"] != SCHEMA_VERSION:
        raise UsageError(
            f"{path}: schema_version {table['schema_version']!r} is not supported:"
            f" this codebench reads {SCHEMA_VERSION}"
        )
    tables = table.pop("prompts", [])
    header = validated(Header, table, where=str(path))
    if header.name != path.stem:
        raise UsageError(f"{path}: key 'name': {header.name!r} must equal the file's stem")
    if not isinstance(tables, list):
        raise UsageError(f"{path}: key 'prompts': write every prompt as a [[prompts]] table")
    if not tables:
        raise UsageError(f"{path}: the set is empty: add a [[prompts]] table")
    prompts = tuple(_prompt(path, header.language, n, entry) for n, entry in enumerate(tables, 1))
    refuse_duplicates([prompt.id for prompt in prompts], where=str(path))
    return PromptSet(
        name=header.name,
        version=header.version,
        language=header.language,
        description=header.description,
        prompts=prompts,
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def _parse(path: Path, raw: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}: line {line}: not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        found = re.match(r"line (\d+)", place)
        line = int(found[1]) if found else raw.count(b"\n") + 1
        raise UsageError(f"{path}: line {line}: not valid TOML: {reason}") from error


def _prompt(path: Path, language: Language, number: int, entry: object) -> Prompt:
    if not isinstance(entry, dict):
        raise UsageError(f"{path}: prompt {number}: must be a [[prompts]] table")
    name = entry.get("id")
    where = f"{path}: prompt {name!r}" if isinstance(name, str) else f"{path}: prompt {number}"
    if "language" in entry:
        raise UsageError(f"{where}: unknown key 'language': the set has one language")
    prompt = checked_prompt({**entry, "language": language}, where=where)
    if not ID_FORM.fullmatch(prompt.id):
        raise UsageError(f"{where}: key 'id': must be snake_case, as 'merge_sorted'")
    return prompt
