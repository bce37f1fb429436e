"""The rows of a data set's file: JSON lines or one JSON list, plain or gzip (told by content).

Everything that a file can do wrong is one line here that names the file, the line and the task;
`Row` adds the key. Whole numbers may have any number of digits (HumanEval+ has them with more than
4,300, where Python's own conversion stops).
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from codebench.errors import EnvironmentProblem, UsageError

_GZIP_MAGIC = b"\x1f\x8b"
_DIGITS = 4_000
_ID_KEYS = ("task_id", "name", "id")
_KINDS = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null", str: "a string"}


@dataclass(frozen=True, slots=True)
class Row:
    """One task of a file; every value is still to be checked."""

    place: str
    """File and line."""

    values: Mapping[str, object]

    @property
    def where(self) -> str:
        """File, line and task: what a message begins with."""
        names = (self.values.get(key) for key in _ID_KEYS)
        name = next((name for name in names if isinstance(name, str | int)), None)
        return self.place if name is None else f"{self.place}: task {str(name)[:80]!r}"

    def wrong(self, key: str, reason: str) -> NoReturn:
        """Raise the line that says what is wrong with a key.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.where}: key {key!r}: {reason}")

    def get(self, key: str) -> object:
        """Return a value.

        Raises:
            UsageError: if the key is missing.
        """
        if key not in self.values:
            self.wrong(key, "missing")
        return self.values[key]

    def text(self, key: str, *, default: str | None = None) -> str:
        """Return a string; `default` where there is none, or null.

        Raises:
            UsageError: if there is no string, or one that UTF-8 cannot carry.
        """
        if default is not None and self.values.get(key) is None:
            return default
        return self._string(self.get(key), key)

    def texts(self, key: str, *, optional: bool = False) -> tuple[str, ...]:
        """Return a list of strings; an empty one where an optional key is missing.

        Raises:
            UsageError: if it is something else.
        """
        if optional and self.values.get(key) is None:
            return ()
        return tuple(self._string(text, f"{key}[{i}]") for i, text in enumerate(self.entries(key)))

    def entries(self, key: str) -> list[object]:
        """Return a list.

        Raises:
            UsageError: if it is something else.
        """
        value = self.get(key)
        if not isinstance(value, list):
            self.wrong(key, f"is {kind(value)}, not a list")
        return value

    def number(self, key: str) -> float:
        """Return a number.

        Raises:
            UsageError: if it is something else.
        """
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(key, f"is {kind(value)}, not a number")
        return value

    def _string(self, value: object, key: str) -> str:
        if not isinstance(value, str):
            self.wrong(key, f"is {kind(value)}, not a string")
        try:
            value.encode()
        except UnicodeEncodeError:
            self.wrong(key, "holds half a surrogate pair, which no file of text can")
        return value


def kind(value: object) -> str:
    """Return what a JSON value is, in words."""
    return _KINDS.get(type(value), "a number")


def unpacked(path: Path, raw: bytes) -> bytes:
    """Return the bytes, unpacked if they are gzip.

    Raises:
        UsageError: if they are broken gzip.
    """
    if not raw.startswith(_GZIP_MAGIC):
        return raw
    try:
        return gzip.decompress(raw)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: a broken gzip file ({error}): copy it again") from error


def read_bytes(path: Path) -> bytes:
    """Return the file as it is.

    Raises:
        UsageError: if it is a folder, or not there.
        EnvironmentProblem: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise UsageError(f"{path}: a folder, not a data set: give its file") from error
    except FileNotFoundError as error:
        raise UsageError(f"{path}: cannot read the prompt set: {error.strerror}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise EnvironmentProblem(f"cannot read {path}: {reason}") from error


def read_rows(path: Path, raw: bytes) -> tuple[Row, ...]:
    """Return the rows of a file's bytes, at least one.

    Raises:
        UsageError: if they are no JSON lines and no JSON list of objects.
    """
    content = unpacked(path, raw).removeprefix(b"\xef\xbb\xbf")
    rows = tuple(_listed(path, content) if _is_list(content) else _lines(path, content))
    if not rows:
        raise UsageError(f"{path}: the set is empty: it holds no task")
    return rows


def _is_list(content: bytes) -> bool:
    return content[:4096].lstrip().startswith(b"[")


def _lines(path: Path, content: bytes) -> Iterator[Row]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            place = f"{path}: line {number}"
            yield _row(_parse(line, place), place)


def _listed(path: Path, content: bytes) -> Iterator[Row]:
    values = _parse(content, str(path))
    assert isinstance(values, list)
    for number, value in enumerate(values, 1):
        yield _row(value, f"{path}: entry {number}")


def _row(value: object, place: str) -> Row:
    if not isinstance(value, dict):
        raise UsageError(f"{place}: is {kind(value)}, not a JSON object")
    return Row(place, value)


def _parse(content: bytes, place: str) -> object:
    try:
        return json.loads(content.decode(), parse_int=_whole_number)
    except UnicodeDecodeError as error:
        raise UsageError(f"{place}: not UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if b"\n" in content.strip() else ""
        message = f"{error.msg.removesuffix(' at')} at {line}character {error.colno}"
        raise UsageError(f"{place}: not JSON: {message}") from error
    except RecursionError as error:
        raise UsageError(f"{place}: not JSON that can be read: nested too deep") from error


def _whole_number(digits: str) -> int:
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
    value = 0
    for start in range(0, len(digits), _DIGITS):
        part = digits[start : start + _DIGITS]
        value = value * 10 ** len(part) + int(part)
    return sign * value
