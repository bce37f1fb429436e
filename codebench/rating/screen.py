"""How a program and its question are shown: on a whole terminal, page by page, or as lines.

Programs are foreign text: control characters are made visible before anything is printed.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.control import Control
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from codebench.rating.choosing import Shown
from codebench.visible import shortened, visible

_MAX_CHARS = 50_000
_TAB_CHARS = 4
_FRAME_LINES = 5
_SCALE = "1 poor  2 weak  3 fair  4 good  5 excellent"
_STYLE = f"style (names, layout, comments)?  {_SCALE}"
_IDIOM = f"idiom (the language's own ways)?  {_SCALE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is shown: nothing that tells who wrote the program or how it fared."""

    shown: Shown
    number: int
    """Place of the program among all, from 1."""

    total: int
    style: int | None
    """The first score, when it is given."""

    @property
    def title(self) -> str:
        """The line above the program."""
        given = "" if self.style is None else f" · style {self.style}"
        return f"program {self.number} of {self.total} · {self.shown.language}{given}"

    @property
    def question(self) -> str:
        """What is asked now."""
        return _STYLE if self.style is None else _IDIOM


class Screen(Protocol):
    """Shows views."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        ...

    def show(self, view: View) -> None:
        """Show the program and the question."""
        ...

    def turn(self, pages: int) -> None:
        """Go this many pages on, or back, when it is next shown."""
        ...


class FullScreen:
    """The alternate screen of a terminal, which gives back what was there before."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._context = console.screen()
        self._shown: Shown | None = None
        self._top = 0

    def __enter__(self) -> Self:
        self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def show(self, view: View) -> None:
        """Show the program and the question; a new program from its top."""
        if view.shown is not self._shown:
            self._shown, self._top = view.shown, 0
        lines = _code(view.shown).wrap(
            self._console, self._console.width, overflow="fold", no_wrap=False
        )
        self._top = max(0, min(self._top, len(lines) - self._n_rows))
        page = lines[self._top : self._top + self._n_rows]
        empty = [Text("")] * (self._n_rows - len(page))
        self._console.control(Control.home())
        self._context.update(
            Group(
                Text(view.title, style="bold", no_wrap=True, overflow="ellipsis"),
                Rule(style="dim"),
                *page,
                *empty,
                Rule(style="dim"),
                Text(view.question, style="bold", no_wrap=True, overflow="ellipsis"),
                Text(self._help(len(lines)), style="dim", no_wrap=True, overflow="ellipsis"),
            )
        )

    def turn(self, pages: int) -> None:
        """Go this many pages on, or back, when it is next shown."""
        self._top += pages * self._n_rows

    @property
    def _n_rows(self) -> int:
        return max(1, self._console.height - _FRAME_LINES)

    def _help(self, n_lines: int) -> str:
        keys = "s skip · u undo · q quit"
        if n_lines <= self._n_rows:
            return keys
        last = min(n_lines, self._top + self._n_rows)
        return f"{keys} · space, b: page · lines {self._top + 1}-{last} of {n_lines}"


class LineScreen:
    """Plain lines, for scripts and where there is no terminal; a program is printed once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: Shown | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def show(self, view: View) -> None:
        """Print the program where it is a new one, and the question."""
        if view.shown is not self._shown:
            self._shown = view.shown
            self._console.print(Text(f"\n{view.title}\n", style="bold"))
            self._console.print(_code(view.shown), soft_wrap=True)
        question = f"{view.question}  s skip  u undo  q quit"
        self._console.print(Text(question), soft_wrap=True)

    def turn(self, pages: int) -> None:
        """Do nothing: everything is there."""


def _code(shown: Shown) -> Text:
    text = shortened(visible(shown.program).expandtabs(_TAB_CHARS), _MAX_CHARS)
    syntax = Syntax("", shown.language, theme="ansi_dark", background_color="default")
    code = syntax.highlight(text.rstrip("\n"))
    code.rstrip()
    return code
