"""What the user decides with `--set name=value` where a checkpoint's files leave it open."""

import math
from collections.abc import Collection, Mapping

from codebench.errors import UsageError

Settings = Mapping[str, str]
"""Values as typed, by name."""


def check_names(settings: Settings, known: Collection[str], *, owner: str) -> None:
    """Check that every setting is one of `known`.

    Raises:
        UsageError: if one is not; the message lists those that are.
    """
    for name in settings:
        if name not in known:
            choice = f"it knows {', '.join(sorted(known))}" if known else "it knows none"
            raise UsageError(f"--set {name}: {owner} has no such setting; {choice}")


def positive_number(settings: Settings, name: str, default: float) -> float:
    """Return a setting as a positive number.

    Raises:
        UsageError: if it is none.
    """
    try:
        value = float(settings.get(name, default))
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf):
        raise UsageError(f"--set {name}={settings[name]}: give a positive number")
    return value


def one_of(settings: Settings, name: str, choices: Collection[str], default: str) -> str:
    """Return a setting that is one of `choices`.

    Raises:
        UsageError: if it is another word.
    """
    value = settings.get(name, default)
    if value not in choices:
        raise UsageError(f"--set {name}={value}: give {' or '.join(choices)}")
    return value
