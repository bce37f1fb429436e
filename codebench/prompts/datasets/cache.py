"""The folder where data sets lie, and how a file of one gets there.

The folder is `datasets/` in $CODEBENCH_CACHE, else in $XDG_CACHE_HOME/codebench, else in
~/.cache/codebench. A file is found there by its published name (`HumanEval.jsonl.gz`) or the set's
(`humaneval.jsonl`), packed or not. Nothing is fetched unless it was asked for.

A download goes to a temporary file, is checked, and only then gets its name. Where no SHA-256 is
pinned, that of the first download is written beside the file (`NAME.sha256`), and the file must
keep it.
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

from codebench.errors import EnvironmentProblem
from codebench.prompts.datasets.catalogue import DataSet

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_MAX_BYTES = 200 * 2**20
_CHUNK_BYTES = 2**16
_TIMEOUT_S = 30.0


def data_set_folder() -> Path:
    """Return the folder, which need not exist."""
    own, shared = os.environ.get("CODEBENCH_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own) / "datasets"
    return (Path(shared) if shared else Path.home() / ".cache") / "codebench" / "datasets"


def find_file(data_set: DataSet) -> Path | None:
    """Return the data set's file, or None where it is not here."""
    plain = data_set.file.removesuffix(".gz")
    names = [data_set.file, plain, f"{plain}.gz"]
    names += [data_set.name + end for end in (".jsonl", ".jsonl.gz", ".json", ".json.gz")]
    paths = (data_set_folder() / name for name in names)
    return next((path for path in paths if path.is_file()), None)


def missing(data_set: DataSet) -> EnvironmentProblem:
    """Return the line that says which file to put where."""
    return EnvironmentProblem(
        f"data set {data_set.name!r} is not on this machine: put {data_set.file} into"
        f" {data_set_folder()} (it is {data_set.url}), or let --download fetch it"
    )


def recorded_sha256(path: Path) -> str | None:
    """Return the SHA-256 that the first download of this file wrote beside it, if one did."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return _record(path).read_text(encoding="utf-8").split(maxsplit=1)[0]
    return None


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def fetch(data_set: DataSet) -> Path:
    """Download a data set's file into the folder.

    Raises:
        EnvironmentProblem: if it cannot be fetched or written, or is not the pinned file.
    """
    from urllib3.exceptions import HTTPError

    path = data_set_folder() / data_set.file
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sha256 = _download(data_set.url, part)
        if data_set.sha256 not in (None, sha256):
            raise EnvironmentProblem(
                f"--download {data_set.name}: {data_set.url} has SHA-256 {sha256}, and not the"
                f" pinned {data_set.sha256}: it was not kept"
            )
        if data_set.sha256 is None:
            _record(path).write_text(f"{sha256}  {path.name}\n", encoding="utf-8")
        part.replace(path)
    except HTTPError as error:
        raise EnvironmentProblem(
            f"--download {data_set.name}: cannot fetch {data_set.url}: {_said(error)};"
            f" put the file into {path.parent} yourself"
        ) from error
    except OSError as error:
        raise EnvironmentProblem(
            f"--download {data_set.name}: cannot write {path}: {error.strerror or error}"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).partition("\n")[0][:200]


def _download(url: str, part: Path) -> str:
    """Write what is at `url` to `part`; return its SHA-256 (hex)."""
    import urllib3

    proxy = getproxies().get("https")
    digest, size = hashlib.sha256(), 0
    with (
        urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager() as pool,
        pool.request("GET", url, preload_content=False, timeout=_TIMEOUT_S) as answer,
        part.open("wb") as file,
    ):
        _check(answer, url)
        for chunk in answer.stream(_CHUNK_BYTES, decode_content=False):
            size += len(chunk)
            if size > _MAX_BYTES:
                raise urllib3.exceptions.HTTPError("it is larger than 200 MiB")
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _check(answer: "BaseHTTPResponse", url: str) -> None:
    from urllib3.exceptions import HTTPError

    if answer.status != 200:
        raise HTTPError(f"the server answers {answer.status}")
    if urlsplit(urljoin(url, answer.geturl() or "")).scheme != "https":
        raise HTTPError("it was led away from https")
