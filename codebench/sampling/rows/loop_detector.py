"""Notice that a model repeats itself, so that a collapsed checkpoint costs little.

Covers: the same 1 to 8 tokens over and over. Does not cover: loops of whole lines with a longer
period, which run to the token limit; a missed loop costs time, a false one would spoil a number.
"""

MAX_PERIOD = 8
"""Longest repeated group, in tokens."""

MIN_LOOP_TOKENS = 64
"""A loop is longer than this: 32 elements of `0, 0, 0, ...` are honest code and pass."""


class LoopDetector:
    """Follows one completion token by token."""

    def __init__(self) -> None:
        self._recent: list[int] = []
        self.period = 0
        """Tokens of the group that is repeated, once there is a loop."""
        self._run = [0] * (MAX_PERIOD + 1)
        """At p: how many of the latest tokens equal the token p places before them."""

    def feed(self, token_id: int) -> bool:
        """Take the next token; return whether the completion now ends in a loop."""
        recent, run = self._recent, self._run
        self.period = 0
        for period in range(1, min(len(recent), MAX_PERIOD) + 1):
            run[period] = run[period] + 1 if recent[-period] == token_id else 0
            if not self.period and run[period] + period > MIN_LOOP_TOKENS:
                self.period = period
        recent.append(token_id)
        if len(recent) > MAX_PERIOD:
            del recent[0]
        return self.period > 0
