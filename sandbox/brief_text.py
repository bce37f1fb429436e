"""Values as short source text, bounded whatever they are.

For reports of what failed already: only there the program is asked how its own objects look.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from itertools import islice

from remote_objects import Remote

MAX_CHARS = 200
_MAX_ITEMS, _MAX_DEPTH = 30, 4
_MAX_DIGITS_BITS = 500
_FUNCTIONS = {types.FunctionType, types.BuiltinFunctionType}
_BRACKETS: dict[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}


def brief(value: object) -> str:
    """Return at most `MAX_CHARS` characters that show a value."""
    text = _show(value, 0)
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 3] + "..."


def brief_call(name: str, arguments: Iterable[object], keywords: dict[str, object]) -> str:
    """Return at most `MAX_CHARS` characters that show a call."""
    parts = [_show(value, 1) for value in islice(arguments, _MAX_ITEMS)]
    parts += [f"{key}={_show(value, 1)}" for key, value in islice(keywords.items(), _MAX_ITEMS)]
    text = f"{name}({', '.join(parts)})"
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 4] + "...)"


def _show(value: object, depth: int) -> str:
    kind = type(value)
    if isinstance(value, Remote):
        try:
            return repr(value)[:MAX_CHARS]
        except BaseException:  # noqa: BLE001 - the program may be gone; the report is made all the same
            return f"<{value._remote_about} object>"
    if kind in _FUNCTIONS:
        return value.__name__  # type: ignore[attr-defined,no-any-return]
    if kind in {str, bytes, bytearray}:
        return repr(value[:MAX_CHARS])  # type: ignore[index]
    if kind is int and value.bit_length() > _MAX_DIGITS_BITS:  # type: ignore[attr-defined]
        return f"<int of {value.bit_length()} bits>"  # type: ignore[attr-defined]
    if kind in _BRACKETS or isinstance(value, dict):
        return _show_many(value, depth) if depth < _MAX_DEPTH else "..."
    try:
        return repr(value)[:MAX_CHARS]
    except BaseException:  # noqa: BLE001 - objects of the program in it may raise what they like
        return f"<{kind.__name__} object>"


def _show_many(value: object, depth: int) -> str:
    if isinstance(value, dict):
        pairs = islice(value.items(), _MAX_ITEMS)
        parts = [f"{_show(key, depth + 1)}: {_show(item, depth + 1)}" for key, item in pairs]
        brackets = "{}"
    else:
        parts = [_show(item, depth + 1) for item in islice(value, _MAX_ITEMS)]  # type: ignore[call-overload]
        brackets = _BRACKETS[type(value)]
    if len(value) > _MAX_ITEMS:  # type: ignore[arg-type]
        parts.append("...")
    comma = "," if type(value) is tuple and len(parts) == 1 else ""
    if not parts and brackets == "{}" and not isinstance(value, dict):
        return f"{type(value).__name__}()"
    return f"{brackets[0]}{', '.join(parts)}{comma}{brackets[1]}"
