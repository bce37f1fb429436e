"""The variables that are in scope, each with its type; fresh names that shadow nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from program_generator.words import ELEMENTS, LOCALS, PARAMETERS

INTS = ("i32", "i32", "i32", "u32", "i64", "u64", "usize")
"""The integer types, as often as they are drawn."""
SIGNED = frozenset({"i32", "i64"})
DISPLAYABLE = frozenset({*INTS, "f64", "bool", "char", "String", "&str"})


def family(kind: str) -> str:
    """The family of a Rust type: `int` for integers, `Vec` for vectors and slices, and so on."""
    if kind in INTS:
        return "int"
    if kind.startswith(("Vec<", "&[", "&mut Vec<")):
        return "Vec"
    if kind.startswith("Option<"):
        return "Option"
    return "tuple" if kind.startswith("(") else kind


def element(kind: str) -> str:
    """The element type of a vector, slice, option or result."""
    if kind.startswith("&["):
        return kind[2:-1]
    inner = kind[kind.index("<") + 1 : -1]
    return inner.split(", ")[0] if kind.startswith("Result<") else inner


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One name in scope (a path such as `self.width` counts as a name)."""

    name: str
    kind: str
    mutable: bool = False
    movable: bool = False
    """Owned by the function and free to be moved out as its result."""


class Scope:
    """A stack of frames of variables."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._frames: list[list[Variable]] = [[]]

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Open a frame; its variables end with the block."""
        self._frames.append([])
        try:
            yield
        finally:
            self._frames.pop()

    def add(
        self, name: str, kind: str, *, mutable: bool = False, movable: bool = False
    ) -> Variable:
        """Put a variable into the innermost frame."""
        variable = Variable(name=name, kind=kind, mutable=mutable, movable=movable)
        self._frames[-1].append(variable)
        return variable

    def all(self) -> list[Variable]:
        """Every variable in scope, outermost first."""
        return [variable for frame in self._frames for variable in frame]

    def of(self, *kinds: str) -> list[Variable]:
        """The variables whose type is one of `kinds`."""
        return [variable for variable in self.all() if variable.kind in kinds]

    def sequences(self, *elements: str) -> list[Variable]:
        """The vectors and slices with one of these element types."""
        return [v for v in self.all() if family(v.kind) == "Vec" and element(v.kind) in elements]

    def fresh_parameter(self, kind: str) -> str:
        """A parameter name that nothing in scope has."""
        return self._fresh(PARAMETERS[family(kind)])

    def fresh_local(self, kind: str) -> str:
        """A name for a local variable that nothing in scope has."""
        return self._fresh(LOCALS[family(kind)])

    def fresh_element(self, kind: str) -> str:
        """A name for a loop or closure variable that nothing in scope has."""
        return self._fresh(ELEMENTS[family(kind)])

    def _fresh(self, pool: tuple[str, ...]) -> str:
        taken = {variable.name for variable in self.all()}
        free = [name for name in pool if name not in taken]
        if free:
            return free[min(int(self._rng.expovariate(0.25)), len(free) - 1)]
        return next(f"{pool[0]}{i}" for i in range(2, 99) if f"{pool[0]}{i}" not in taken)
