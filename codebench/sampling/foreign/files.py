"""The bytes of foreign files: plain or gzip (told by content), line by line or whole, as JSON.

Everything that a file can do wrong becomes one line here: a `UsageError` that names file and line,
or an `EnvironmentProblem` where the machine does not let us read. Lone surrogates, which JSON can
escape and UTF-8 cannot carry, become U+FFFD in `text_of`.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from codebench.errors import EnvironmentProblem, UsageError

Record = Mapping[str, object]
"""A JSON object of a foreign file; every field of it is still to be checked."""

_GZIP_MAGIC = b"\x1f\x8b"
_KINDS = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(
            f"{path} is a broken gzip file ({error}): copy or pack it again"
        ) from error
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        magic = file.read(2)
        file.seek(0)
        if magic == _GZIP_MAGIC:
            with gzip.open(file, "rb") as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield file


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, stripped, with their numbers from 1; reads lazily.

    Raises:
        UsageError: if the file is broken gzip.
        EnvironmentProblem: if it cannot be read.
    """
    with _named_errors(path), _opened(path) as file:
        for number, line in enumerate(file, start=1):
            stripped = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
            if stripped:
                yield number, stripped


def document(path: Path) -> object:
    """Return the whole file as one JSON value.

    Raises:
        UsageError: if it is not JSON, or broken gzip.
        EnvironmentProblem: if it cannot be read.
    """
    with _named_errors(path), _opened(path) as file:
        content = file.read()
    return parse(content.removeprefix(b"\xef\xbb\xbf"), str(path))


def parse(content: bytes, where: str) -> object:
    """Return JSON as its value.

    Raises:
        UsageError: if it is not JSON in UTF-8; begins with `where`.
    """
    try:
        return json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if b"\n" in content else ""
        message = f"{error.msg.removesuffix(' at')} at {line}character {error.colno}"
        raise UsageError(f"{where} is not JSON: {message}") from error
    except (RecursionError, ValueError) as error:
        raise UsageError(f"{where} is not JSON that can be read: {error}") from error


def record_of(value: object, where: str) -> Record:
    """Return the value if it is a JSON object.

    Raises:
        UsageError: if it is something else.
    """
    if not isinstance(value, dict):
        raise UsageError(f"{where} is {kind(value)}, not a JSON object")
    return value


def text_of(record: Record, key: str, where: str) -> str:
    """Return a string of the record, lone surrogates replaced.

    Raises:
        UsageError: if the key is missing or its value is not a string.
    """
    if key not in record:
        raise UsageError(f"{where} has no {key!r}")
    value = record[key]
    if not isinstance(value, str):
        raise UsageError(f"{where}: {key!r} is {kind(value)}, not a string")
    return valid(value)


def texts_of(value: object, where: str) -> Sequence[str]:
    """Return a list of strings, lone surrogates replaced.

    Raises:
        UsageError: if it is not a list, or something in it is not a string.
    """
    if not isinstance(value, list):
        raise UsageError(f"{where} is {kind(value)}, not a list of strings")
    for number, text in enumerate(value):
        if not isinstance(text, str):
            raise UsageError(f"{where}: entry {number} is {kind(text)}, not a string")
    return [valid(text) for text in value]


def valid(text: str) -> str:
    """Return the text with each lone surrogate replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def kind(value: object) -> str:
    """Return what a JSON value is, in words."""
    if isinstance(value, str):
        return "a string"
    return _KINDS.get(type(value), "a number")


def fingerprint(path: Path, files: Sequence[Path]) -> str:
    """Return the SHA-256 (hex) of a file's bytes, or of the names and bytes of a folder's files.

    Raises:
        EnvironmentProblem: if a file cannot be read.
    """
    if not path.is_dir():
        return _sha256(path).hex()
    whole = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        name = file.name.encode(errors="surrogateescape")
        whole.update(len(name).to_bytes(8, "little") + name + _sha256(file))
    return whole.hexdigest()


def _sha256(path: Path) -> bytes:
    with _named_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
