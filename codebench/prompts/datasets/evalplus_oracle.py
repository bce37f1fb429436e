# ruff: noqa: ANN401 - answers may be anything
"""What EvalPlus calls the right answer. This text runs beside the tests, as their `setup`.

The expected answer is computed from the reference, each time from fresh arguments. Answers agree if
they are equal, or if they are floats (or lists of them) that are close: within the task's `atol`
(1e-6 where that is 0 and floats are expected) plus 1e-7 times the expected one, as
`numpy.allclose` has it. Nine rules for single tasks are those of EvalPlus 0.3.1; one differs: the
root of a polynomial must be one from both sides (EvalPlus takes any value below `atol`).

It needs nothing but the standard library of Python 3.9. Source: evalplus/evalplus,
`evalplus/eval/__init__.py` and `_special_oracle.py` (Apache-2.0), written anew.
"""

import copy
import math
from typing import Any

_RTOL = 1e-7
_FLOAT_ATOL = 1e-6
_AS_SETS = (
    "similar_elements",
    "find_char_long",
    "common_in_nested_lists",
    "extract_singly",
    "larg_nnum",
    "intersection_array",
    "find_dissimilar",
    "Diff",
)
_NOT_NONE = ("check_str", "text_match_three", "text_starta_endb")


class Oracle:
    """Knows the right answers of one task."""

    def __init__(self, task_set: str, reference: str, name: str, atol: float) -> None:
        """Run the text of the reference; `task_set` is "humaneval" or "mbpp"."""
        space: dict[str, Any] = {"__name__": "reference"}
        exec(reference, space)  # noqa: S102 - the data set's own solution
        self._solve, self._space = space[name], space
        self._name = name if task_set == "mbpp" or name == "find_zero" else ""
        self._atol = atol

    def wanted(self, got: Any, arguments: list[Any]) -> Any:
        """Return `got` if it is as good as the right answer, else the right answer."""
        expected = self.expected(arguments)
        return got if self.agrees(got, expected, arguments) else expected

    def expected(self, arguments: list[Any]) -> Any:
        """Return the right answer."""
        answer = self._solve(*copy.deepcopy(arguments))
        return answer is not None if self._name in _NOT_NONE else answer

    def agrees(self, got: Any, expected: Any, arguments: list[Any]) -> bool:
        """Return whether an answer is as good as the expected one."""
        if self._name == "find_zero":
            return bool(abs(self._space["poly"](*arguments, got)) <= self._atol)
        if self._is_right(got, expected, arguments):
            return True
        atol = self._atol or (_FLOAT_ATOL if _are_floats(expected) else 0)
        return atol != 0 and type(got) is type(expected) and _close(got, expected, atol)

    def _is_right(self, got: Any, expected: Any, arguments: list[Any]) -> bool:
        name = self._name
        if name in _AS_SETS:
            return set(got) == set(expected)
        if name in _NOT_NONE:
            return bool(expected) == (got if isinstance(got, bool) else got is not None)
        if name == "surface_Area":
            return bool(got == expected or abs(got - _surface(*arguments)) <= self._atol)
        if name == "digit_distance_nums":
            return bool(got == expected or got == _digit_distance(*arguments))
        return bool(name == "are_equivalent" or got == expected or (name == "sum_div" and got == 0))


def _surface(base: Any, height: Any) -> Any:
    """Return the surface of a pyramid whose `height` goes from base to apex."""
    return round(base**2 + 2 * base * math.sqrt((base / 2) ** 2 + height**2))


def _digit_distance(one: Any, other: Any) -> int:
    """Return the sum of the distances between the digits of two numbers, place by place."""
    width = max(len(str(one)), len(str(other)))
    pairs = zip(str(one).zfill(width), str(other).zfill(width))  # noqa: B905 - Python 3.9
    return sum(abs(int(a) - int(b)) for a, b in pairs)


def _are_floats(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(part, float) for part in value)
    return isinstance(value, float)


def _close(got: Any, expected: Any, atol: float) -> bool:
    if isinstance(expected, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(expected):
            return False
        return all(_close(a, b, atol) for a, b in zip(got, expected))  # noqa: B905
    numbers = (int, float, complex)
    if not isinstance(got, numbers) or not isinstance(expected, numbers):
        return False
    try:
        return got == expected or abs(got - expected) <= atol + _RTOL * abs(expected)
    except OverflowError:
        return False
