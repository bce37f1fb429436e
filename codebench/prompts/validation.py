"""What every reader of prompts of our own format checks, and how it says what is wrong.

Covers: unknown, missing and mistyped keys, forms of `item`, ids used twice; each is one line that
begins with the place (`where`) and names the key.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from codebench.errors import UsageError
from codebench.prompts.model import Language, Prompt

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


def validated(model: type[Model], table: Mapping[str, object], where: str) -> Model:
    """Return the table as the model.

    Raises:
        UsageError: if a key is unknown, missing or of the wrong type.
    """
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


def checked_prompt(table: Mapping[str, object], where: str) -> Prompt:
    """Return a table of our own format as a prompt.

    Raises:
        UsageError: if it breaks the format.
    """
    prompt = validated(Prompt, table, where)
    form, words = ITEM_FORMS[prompt.language]
    if not form.fullmatch(prompt.item):
        raise UsageError(f"{where}: key 'item': {prompt.item!r} must be {words}")
    if prompt.language is Language.RUST and prompt.setup:
        raise UsageError(f"{where}: key 'setup': is for Python; put Rust items into 'context'")
    for key in ("category", "prompt"):
        if not getattr(prompt, key).strip():
            raise UsageError(f"{where}: key {key!r}: must not be empty")
    return prompt


def refuse_duplicates(ids: Sequence[str], *, where: str, key: str = "id") -> None:
    """Raise if an id is used twice.

    Raises:
        UsageError: names the id and the number of its second prompt.
    """
    seen: set[str] = set()
    for number, name in enumerate(ids, 1):
        if name in seen:
            raise UsageError(
                f"{where}: prompt {name!r}: key {key!r}: used twice (again in prompt {number})"
            )
        seen.add(name)
