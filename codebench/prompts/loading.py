"""Reads prompt sets: the TOML files of the folder `prompts/`, or a TOML file of the user's own.

Covers: finding the file, its format (schema_version 1) and every way in which it can be wrong; each
is one line that names the file, the prompt and the key. Does not cover: whether the references
compile and pass; that needs a sandbox.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from codebench.errors import UsageError
from codebench.package_data import data_path
from codebench.prompts.model import Language, Prompt, PromptSet

SCHEMA_VERSION = 1
"""The one version of the file format that this code reads."""

ID_FORM = re.compile(r"[a-z][a-z0-9_]*")
ITEM_FORMS: Mapping[Language, tuple[re.Pattern[str], str]] = {
    Language.RUST: (
        re.compile(r"(?:(?:fn|struct|enum|trait|macro_rules) \w+|impl [\w:]+(?: for [\w:]+)?)"),
        "fn NAME, struct NAME, enum NAME, trait NAME, impl TYPE, impl TRAIT for TYPE"
        " or macro_rules NAME",
    ),
    Language.PYTHON: (re.compile(r"(?:def|class) \w+"), "def NAME or class NAME"),
}

REASONS: Mapping[str, str] = {
    "missing": "missing",
    "string_type": "must be a string",
    "tuple_type": "must be a list of strings",
}
"""Our words for the pydantic error types whose own words speak of Python."""

Model = TypeVar("Model", bound=BaseModel)


class Header(BaseModel, frozen=True, extra="forbid"):
    """The keys above the first prompt of a file."""

    schema_version: int
    name: str
    version: str
    language: Language
    description: str


def list_prompt_sets() -> list[PromptSet]:
    """Load every built-in prompt set, by name.

    Raises:
        UsageError: if one of the files is broken.
    """
    return [_read(path) for path in _built_in().values()]


def load_prompt_set(name_or_path: str) -> PromptSet:
    """Load a built-in set by its name, or any set by the path of its TOML file.

    A built-in name wins over a file of the same name; write `./NAME` for the file.

    Raises:
        UsageError: if there is no such set, or if its file cannot be read or breaks the format.
    """
    known = _built_in()
    if name_or_path in known:
        return _read(known[name_or_path])
    path = Path(name_or_path)
    if "/" in name_or_path or path.suffix == ".toml" or path.exists():
        return _read(path)
    raise UsageError(
        f"unknown prompt set {name_or_path!r}: known are {', '.join(known)};"
        " or give the path of a .toml file"
    )


def _built_in() -> dict[str, Path]:
    return {path.stem: path for path in sorted(data_path("prompts").glob("*.toml"))}


def _read(path: Path) -> PromptSet:
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
    header = _validated(Header, table, where=str(path))
    if header.name != path.stem:
        raise UsageError(f"{path}: key 'name': {header.name!r} must equal the file's stem")
    if not isinstance(tables, list):
        raise UsageError(f"{path}: key 'prompts': write every prompt as a [[prompts]] table")
    if not tables:
        raise UsageError(f"{path}: the set is empty: add a [[prompts]] table")
    prompts = tuple(_prompt(path, header.language, n, entry) for n, entry in enumerate(tables, 1))
    _refuse_duplicates(path, prompts)
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
    prompt = _validated(Prompt, {**entry, "language": language}, where=where)
    if not ID_FORM.fullmatch(prompt.id):
        raise UsageError(f"{where}: key 'id': must be snake_case, as 'merge_sorted'")
    form, words = ITEM_FORMS[language]
    if not form.fullmatch(prompt.item):
        raise UsageError(f"{where}: key 'item': {prompt.item!r} must be {words}")
    for key in ("category", "prompt"):
        if not getattr(prompt, key).strip():
            raise UsageError(f"{where}: key {key!r}: must not be empty")
    return prompt


def _refuse_duplicates(path: Path, prompts: tuple[Prompt, ...]) -> None:
    seen: set[str] = set()
    for number, prompt in enumerate(prompts, 1):
        if prompt.id in seen:
            raise UsageError(
                f"{path}: prompt {prompt.id!r}: key 'id': used twice (again in prompt {number})"
            )
        seen.add(prompt.id)


def _validated(model: type[Model], table: dict[str, object], where: str) -> Model:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        found = error.errors(include_url=False)
    unknown = (problem for problem in found if problem["type"] == "extra_forbidden")
    first = next(unknown, found[0])  # a misspelt key is also a missing one: say the former
    key, *places = first["loc"]
    if first["type"] == "extra_forbidden":
        close = get_close_matches(str(key), model.model_fields, n=1)
        hint = f": did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"{where}: unknown key {key!r}{hint}")
    reason = REASONS.get(first["type"]) or first["msg"].replace("Input should be", "must be")
    shown = f"{key}{''.join(f'[{place}]' for place in places)}"
    raise UsageError(f"{where}: key {shown!r}: {reason}")
