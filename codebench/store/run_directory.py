"""The directory of one run: manifest.json, samples.jsonl and a lock.

samples.jsonl only grows, one whole line a write, so `kill -9` at any moment costs at most the line
that was being written; that torn line is cut away when the directory is opened again. A sample that
we failed to judge (infra_error) is tried again by the next run, and its later line wins. No other
sample has two lines. Calls come from one thread.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import orjson
from pydantic import ValidationError

from codebench.errors import EnvironmentProblem, UsageError
from codebench.languages.verdict import Outcome
from codebench.store.disk import disk_errors, write_atomically
from codebench.store.manifest import Manifest
from codebench.store.record import SampleKey, SampleRecord

MANIFEST_NAME = "manifest.json"
SAMPLES_NAME = "samples.jsonl"
LOCK_NAME = "lock"
SYNC_INTERVAL_S = 0.5
SYNC_RECORDS = 64


class RunDirectory:
    """One run on disk, held by this process alone until `close`."""

    def __init__(self, path: Path, manifest: Manifest, lock_fd: int) -> None:
        """Use `open`; this scans the samples of a directory that is locked already."""
        self.path = path
        self.manifest = manifest
        """The manifest on disk: the one that the run was first started with."""
        self._samples = path / SAMPLES_NAME
        self._lock_fd = lock_fd
        self._lines = _Lines()
        with disk_errors("open the samples", self._samples):
            self._fd = os.open(self._samples, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                self._size = self._lines.scan(self._samples)
                if self._size < os.fstat(self._fd).st_size:
                    os.ftruncate(self._fd, self._size)
            except BaseException:
                os.close(self._fd)
                raise
        self._n_unsynced = 0
        self._synced_at = time.monotonic()

    @classmethod
    def open(cls, path: Path, manifest: Manifest) -> Self:
        """Make the directory of a run, or open it again to go on.

        Raises:
            UsageError: if another process uses it, or if it holds samples of another identity.
            EnvironmentProblem: if it cannot be read or written, or a line in it is damaged.
        """
        with disk_errors("make the run directory", path):
            path.mkdir(parents=True, exist_ok=True)
        lock_fd = _lock(path)
        try:
            return cls(path, _agreed_manifest(path, manifest), lock_fd)
        except BaseException:
            os.close(lock_fd)
            raise

    @property
    def n_records(self) -> int:
        """Number of samples that have a record, judged or not."""
        return len(self._lines)

    def is_done(self, key: SampleKey) -> bool:
        """Whether the sample is judged; False for a missing one and for an infra_error."""
        return self._lines.offset(key) is not None and key not in self._lines.errored

    def append(self, record: SampleRecord) -> None:
        """Add one sample; on disk for good within half a second and 64 records, and at `close`.

        Raises:
            ValueError: if the sample is judged already.
            EnvironmentProblem: if it cannot be written; the file is left as it was.
        """
        if self.is_done(record.key):
            raise ValueError(f"the sample {record.key} is judged already")
        line = record.to_line()
        with disk_errors("write a sample", self._samples):
            try:
                rest = line
                while rest:  # a second round only when the disk is nearly full: let it say so
                    rest = rest[os.write(self._fd, rest) :]
            except BaseException:
                os.ftruncate(self._fd, self._size)
                raise
        self._lines.put(record.key, self._size, record.outcome)
        self._size += len(line)
        self._n_unsynced += 1
        if (
            self._n_unsynced >= SYNC_RECORDS
            or time.monotonic() - self._synced_at >= SYNC_INTERVAL_S
        ):
            self.sync()

    def records(self) -> Iterator[SampleRecord]:
        """Yield every sample once, its latest line, one at a time from disk.

        Raises:
            EnvironmentProblem: if a line is no sample of this version; names the file and line.
        """
        with disk_errors("read the samples", self._samples), self._samples.open("rb") as file:
            end, offset = self._size, 0
            for number, line in enumerate(file, start=1):
                if offset >= end:
                    return
                record = _parsed(line, self._samples, number)
                if self._lines.offset(record.key) == offset:
                    yield record
                offset += len(line)

    def sync(self) -> None:
        """Wait until every appended sample is on disk.

        Raises:
            EnvironmentProblem: if the disk refuses.
        """
        if self._n_unsynced == 0:
            return
        with disk_errors("write the samples", self._samples):
            os.fdatasync(self._fd)
        self._n_unsynced = 0
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Sync and give the directory back; closing twice is allowed."""
        if self._fd < 0:
            return
        try:
            self.sync()
        finally:
            os.close(self._fd)
            os.close(self._lock_fd)
            self._fd = self._lock_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Stub(NamedTuple):
    """What the scan needs of a line."""

    key: SampleKey
    outcome: Outcome


class _Lines:
    """Where the latest line of each sample starts: about a hundred bytes a sample."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, str], dict[int, int]] = {}
        self.errored: set[SampleKey] = set()
        """Samples whose latest line is an infra_error."""

    def __len__(self) -> int:
        return sum(map(len, self._offsets.values()))

    def offset(self, key: SampleKey) -> int | None:
        """Return where the latest line of a sample starts."""
        return self._offsets.get((key.prompt_set, key.prompt_id), {}).get(key.index)

    def put(self, key: SampleKey, offset: int, outcome: Outcome) -> None:
        """Note the latest line of a sample."""
        self._offsets.setdefault((key.prompt_set, key.prompt_id), {})[key.index] = offset
        if outcome.judged:
            self.errored.discard(key)
        else:
            self.errored.add(key)

    def scan(self, samples: Path) -> int:
        """Note every line of a file; return its size without a torn last line."""
        with samples.open("rb") as file:
            size, offset = os.fstat(file.fileno()).st_size, 0
            for number, line in enumerate(file, start=1):
                stub = _stub(line, samples, number)
                if stub is None:
                    if offset + len(line) < size:
                        raise _damaged(samples, number, "it is no JSON")
                    break
                if self.offset(stub.key) is not None and stub.key not in self.errored:
                    raise _damaged(samples, number, f"{stub.key} is there twice")
                self.put(stub.key, offset, stub.outcome)
                offset += len(line)
        return offset


def _stub(line: bytes, samples: Path, number: int) -> _Stub | None:
    """Return key and outcome of a line, or None when it is torn (no newline, or no JSON)."""
    if not line.endswith(b"\n"):
        return None
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    try:
        key = SampleKey(str(fields["prompt_set"]), str(fields["prompt_id"]), int(fields["index"]))
        return _Stub(key, Outcome(fields["outcome"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(samples, number, "it is no sample") from error


def _parsed(line: bytes, samples: Path, number: int) -> SampleRecord:
    try:
        return SampleRecord.model_validate_json(line)
    except ValidationError as error:
        raise _damaged(samples, number, _first_problem(error)) from error


def _damaged(samples: Path, number: int, problem: str) -> EnvironmentProblem:
    fix = "delete that line and run the same command again, or name another --run-dir"
    return EnvironmentProblem(f"{samples}, line {number} is damaged: {problem}; {fix}")


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}"


def _lock(path: Path) -> int:
    """Take the directory for this process; the kernel gives it back when the process ends."""
    with disk_errors("lock the run directory", path):
        fd = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.write(fd, b"%d\n" % os.getpid())
        except BlockingIOError as error:
            pid = os.read(fd, 20).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise UsageError(
                f"another codebench run (pid {pid}) is using {path};"
                " wait for it, or name another --run-dir"
            ) from error
        except BaseException:
            os.close(fd)
            raise
    return fd


def _agreed_manifest(path: Path, manifest: Manifest) -> Manifest:
    """Return the manifest on disk, written now when the directory is new."""
    file = path / MANIFEST_NAME
    content = None
    with disk_errors("read the manifest", file), contextlib.suppress(FileNotFoundError):
        content = file.read_bytes()
    if content is None:
        if (path / SAMPLES_NAME).exists():
            raise UsageError(
                f"{path} holds {SAMPLES_NAME} but no {MANIFEST_NAME}; name another --run-dir"
            )
        write_atomically(file, manifest.model_dump_json(indent=2).encode() + b"\n")
        return manifest
    try:
        stored = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise EnvironmentProblem(
            f"{file} is no manifest of this version of codebench"
            f" ({_first_problem(error)}); name another --run-dir"
        ) from error
    difference = manifest.identity.first_difference(stored.identity)
    if difference is not None:
        raise UsageError(f"{path} holds another run: {difference}; name another --run-dir")
    return stored
