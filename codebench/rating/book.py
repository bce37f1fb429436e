"""ratings.jsonl in a run's directory: one line an answer, added at the end, never changed.

Of several lines of one rater about one program the last counts. Several people may rate at the same
time: a line is written at once, and a line that a crash tore is cut away before the next one.
"""

import fcntl
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from codebench.errors import UsageError
from codebench.store import SampleKey, disk_errors
from codebench.store.manifest import ISO_UTC

RATINGS_NAME = "ratings.jsonl"
MIN_SCORE, MAX_SCORE = 1, 5
_Score = Field(default=None, ge=MIN_SCORE, le=MAX_SCORE)


class Answer(StrEnum):
    """What a rater did with a program."""

    RATED = "rated"
    SKIPPED = "skipped"
    WITHDRAWN = "withdrawn"
    """An earlier answer was taken back."""


class Rating(BaseModel, frozen=True, extra="forbid"):
    """A line of ratings.jsonl."""

    rater: str
    """Who answered."""

    prompt_set: str
    """Name of the prompt set."""

    prompt_id: str
    """Name of the prompt, unique in its set."""

    index: int = Field(ge=0)
    """Number of the sample among those of its prompt."""

    answer: Answer
    """What the rater did."""

    style: int | None = _Score
    """Names, layout and comments, 1 poor to 5 excellent; None without a rating."""

    idiom: int | None = _Score
    """Whether it says things as the language says them, 1 to 5; None without a rating."""

    timestamp: str = Field(pattern=ISO_UTC)
    """When, UTC, ISO 8601 with Z."""

    @property
    def key(self) -> SampleKey:
        """The program that was rated."""
        return SampleKey(self.prompt_set, self.prompt_id, self.index)


def add_rating(run_dir: Path, rating: Rating) -> None:
    """Add a line; it is on disk when this returns.

    Raises:
        EnvironmentProblem: if it cannot be written.
    """
    file = run_dir / RATINGS_NAME
    with disk_errors("write a rating", file):
        fd = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            content = file.read_bytes()
            if not content.endswith(b"\n"):
                os.ftruncate(fd, content.rfind(b"\n") + 1)
            os.write(fd, rating.model_dump_json().encode() + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)


def read_ratings(run_dir: Path) -> dict[tuple[str, SampleKey], Rating]:
    """Return the last answer of each rater about each program; those taken back are left out.

    Raises:
        UsageError: if a line is no rating; names the file and the line.
        EnvironmentProblem: if the file cannot be read.
    """
    last = {(rating.rater, rating.key): rating for rating in _lines(run_dir / RATINGS_NAME)}
    return {who: one for who, one in last.items() if one.answer is not Answer.WITHDRAWN}


def _lines(file: Path) -> Iterator[Rating]:
    if not file.exists():
        return
    with disk_errors("read the ratings", file):
        lines = file.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            return
        try:
            yield Rating.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise UsageError(f"{file}, line {number} is no rating: {first['msg']}") from error
