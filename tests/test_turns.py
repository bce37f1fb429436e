"""Whose turn it is: second tries stay out of the way, and nothing gets in theirs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from codebench.errors import SandboxError
from codebench.sandbox.turns import MOST_PUT_OFF, Turns


class Callers:
    """Threads that pass through turns, each until it is let go; notes who came in, in order."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self._leave: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def start(self, name: str, turn: Callable[[], AbstractContextManager[None]]) -> None:
        """Let one more caller ask for its turn."""
        self._leave[name] = threading.Event()

        def call() -> None:
            with turn():
                self.entered.append(name)
                self._leave[name].wait()

        self._threads.append(threading.Thread(target=call, daemon=True))
        self._threads[-1].start()
        self.settle()

    def leave(self, *names: str) -> None:
        """Let callers give their turns back."""
        for name in names:
            self._leave[name].set()
            self.settle()

    def settle(self) -> None:
        """Wait until nothing has moved for a while."""
        seen = -1
        while seen != len(self.entered):
            seen = len(self.entered)
            time.sleep(0.05)

    def end(self) -> None:
        """Let everybody through, and see that nobody is stuck."""
        for event in self._leave.values():
            event.set()
        for thread in self._threads:
            thread.join(timeout=10)
            assert not thread.is_alive()


@pytest.fixture
def callers() -> Iterator[Callers]:
    """Some callers, all of whom pass in the end."""
    callers = Callers()
    yield callers
    callers.end()


def test_as_many_first_tries_as_slots(callers: Callers) -> None:
    """The third caller of two slots waits until one is given back."""
    turns = Turns(2)
    for name in "abc":
        callers.start(name, turns.first)
    assert callers.entered == ["a", "b"]
    callers.leave("a")
    assert callers.entered == ["a", "b", "c"]


def test_a_second_try_waits_for_every_first_one(callers: Callers) -> None:
    """It neither runs beside a first try nor before one that waits for a slot."""
    turns = Turns(1)
    callers.start("a", turns.first)
    callers.start("again", turns.second)
    callers.start("b", turns.first)
    callers.leave("a")
    assert callers.entered == ["a", "b"]
    callers.leave("b")
    assert callers.entered == ["a", "b", "again"]


def test_nothing_runs_beside_a_second_try(callers: Callers) -> None:
    """Neither a first try nor another second one starts while it is under way."""
    turns = Turns(2)
    callers.start("again", turns.second)
    callers.start("a", turns.first)
    callers.start("again too", turns.second)
    assert callers.entered == ["again"]
    callers.leave("again")
    assert callers.entered == ["again", "a"]
    callers.leave("a")
    assert callers.entered == ["again", "a", "again too"]


def test_many_second_tries_get_their_turns(callers: Callers) -> None:
    """When as many wait as may, all of them go before the first try that waits."""
    turns = Turns(1)
    callers.start("a", turns.first)
    names = [str(number) for number in range(MOST_PUT_OFF)]
    for name in names:
        callers.start(name, turns.second)
    callers.start("b", turns.first)
    assert callers.entered == ["a"]
    callers.leave("a", *names)
    assert callers.entered[0] == "a"
    assert set(callers.entered[1:-1]) == set(names)
    assert callers.entered[-1] == "b"


def test_nobody_waits_when_there_are_no_more_turns() -> None:
    """Whoever waits for a turn when they end is told, and so is who comes later."""
    turns = Turns(1)
    refused: list[str] = []

    def ask(turn: Callable[[], AbstractContextManager[None]]) -> None:
        try:
            with turn():
                refused.append("no")
        except SandboxError as error:
            refused.append(str(error))

    with turns.first():
        waiting = [
            threading.Thread(target=ask, args=(turn,)) for turn in (turns.first, turns.second)
        ]
        for thread in waiting:
            thread.start()
        turns.close()
        for thread in waiting:
            thread.join(timeout=10)
    ask(turns.first)
    assert refused == ["the sandbox is closed"] * 3


def test_a_large_machine_tries_several_again_at_once(callers: Callers) -> None:
    """Eight slots let two second tries run beside each other, and no third."""
    turns = Turns(8)
    for name in "abc":
        callers.start(name, turns.second)
    assert callers.entered == ["a", "b"]
