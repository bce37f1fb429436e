"""Progress on stderr: a live line on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

_PLAIN_INTERVAL_S = 10.0
_BAR_CHARS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Where a run stands."""

    n_samples: int
    n_generated: int
    n_judged: int
    n_compiled: int
    tokens_per_second: float | None
    left_s: float | None
    """Estimate of the time that is left, in seconds; None before anything is known."""

    def line(self) -> str:
        """Return the snapshot in one line."""
        parts = [f"generated {self.n_generated}, compiled {self.n_judged} of {self.n_samples}"]
        if self.tokens_per_second is not None:
            parts.append(f"{self.tokens_per_second:.0f} tok/s")
        if self.n_judged:
            parts.append(f"{100 * self.n_compiled / self.n_judged:.1f} % compile")
        if self.left_s is not None:
            parts.append(f"{_minutes(self.left_s)} left")
        return " · ".join(parts)


def _minutes(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


class Progress(Protocol):
    """Shows where a run stands."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; nothing is left on the screen but what was said."""
        ...

    def say(self, text: str) -> None:
        """Print one line that stays."""
        ...

    def show(self, snapshot: Callable[[], Snapshot]) -> None:
        """Show where the run stands; cheap when it is not time yet."""
        ...


class PlainProgress:
    """A line every ten seconds, for logs."""

    def __init__(self, *, silent: bool = False) -> None:
        self._shown_at = time.monotonic()
        self._silent = silent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def say(self, text: str) -> None:
        """See `Progress`."""
        if not self._silent:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def show(self, snapshot: Callable[[], Snapshot]) -> None:
        """See `Progress`."""
        if time.monotonic() - self._shown_at >= _PLAIN_INTERVAL_S:
            self._shown_at = time.monotonic()
            self.say(snapshot().line())


class LiveProgress:
    """One line that is drawn again, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self._console = Console(stderr=True)
        self._text = Text
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def say(self, text: str) -> None:
        """See `Progress`."""
        self._console.print(self._text(text), soft_wrap=True)

    def show(self, snapshot: Callable[[], Snapshot]) -> None:
        """See `Progress`."""
        now = snapshot()
        line = now.line()
        width = min(_BAR_CHARS, self._console.width - len(line) - 2)
        share = now.n_judged / now.n_samples if now.n_samples else 1.0
        filled = round(max(0, width) * share)
        bar = self._text("━" * filled, style="green")
        bar.append("━" * (width - filled), style="dim").append(f" {line}" if width > 0 else line)
        self._live.update(bar)


def open_progress() -> Progress:
    """Return the progress display that suits stderr."""
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
