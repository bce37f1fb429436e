"""One sitting of a rater: programs one by one, two scores each, every answer written at once."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import Enum, auto
from typing import NamedTuple

from codebench.rating.book import Answer, Rating, add_rating
from codebench.rating.choosing import Shown
from codebench.rating.screen import Screen, View
from codebench.store import utc_now

_PAGES = {" ": 1, "b": -1}


class Scores(NamedTuple):
    """Both scores of a program, 1 to 5."""

    style: int
    idiom: int


class Move(Enum):
    """What else a rater may want."""

    SKIP = auto()
    UNDO = auto()
    QUIT = auto()


_MOVES = {"s": Move.SKIP, "u": Move.UNDO, "q": Move.QUIT}


def rate_all(
    programs: Sequence[Shown], *, rater: str, n_before: int, screen: Screen, keys: Iterator[str]
) -> int:
    """Ask for the scores of each program until there is none, or the rater leaves.

    Args:
        programs: What is to be rated, in its order.
        rater: Who rates.
        n_before: Programs that this rater has answered before, for the counter.
        screen: Where it is shown.
        keys: What is pressed; when it ends, the rater has left.

    Returns:
        Number of programs that have an answer now.

    Raises:
        EnvironmentProblem: if an answer cannot be written.
    """
    place, total = 0, n_before + len(programs)
    while place < len(programs):
        shown = programs[place]
        match _ask(shown, n_before + place + 1, total, screen, keys):
            case Scores() as scores:
                _write(shown, rater, Answer.RATED, scores)
                place += 1
            case Move.SKIP:
                _write(shown, rater, Answer.SKIPPED)
                place += 1
            case Move.UNDO if place > 0:
                place -= 1
                _write(programs[place], rater, Answer.WITHDRAWN)
            case Move.QUIT:
                break
            case _:
                pass  # nothing before the first can be undone
    return n_before + place


def _ask(
    shown: Shown, number: int, total: int, screen: Screen, keys: Iterator[str]
) -> Scores | Move:
    """Show a program until both scores are given, or something else is wanted."""
    style: int | None = None
    screen.show(View(shown=shown, number=number, total=total, style=style))
    for key in keys:
        if key in _MOVES and not (key == "u" and style is not None):
            return _MOVES[key]
        if key in _PAGES:
            screen.turn(_PAGES[key])
        elif key == "u":
            style = None
        elif key in "12345" and style is not None:
            return Scores(style, int(key))
        elif key in "12345":
            style = int(key)
        else:
            continue
        screen.show(View(shown=shown, number=number, total=total, style=style))
    return Move.QUIT


def _write(shown: Shown, rater: str, answer: Answer, scores: Scores | None = None) -> None:
    rating = Rating(
        rater=rater,
        **asdict(shown.key),
        answer=answer,
        style=scores.style if scores else None,
        idiom=scores.idiom if scores else None,
        timestamp=utc_now(),
    )
    add_rating(shown.run_dir, rating)
