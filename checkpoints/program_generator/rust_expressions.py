"""Well-typed Rust expressions over the variables in scope.

Three forbidden things keep every program compilable: no value that is not Copy is moved (it is
cloned or borrowed), integers are divided by non-zero literals only, and unsigned integers are
never subtracted by `-` from a value that the compiler can compute.
"""

from collections.abc import Callable
from random import Random

from program_generator.scope import DISPLAYABLE, INTS, SIGNED, Scope, Variable, element, family
from program_generator.words import LETTERS, LITERALS

Lines = list[str]


def indented(lines: Lines) -> Lines:
    """The lines, one level deeper."""
    return [f"    {line}" if line else line for line in lines]


class Expressions:
    """Draws expressions of a wanted type."""

    def __init__(self, rng: Random, scope: Scope) -> None:
        self.rng = rng
        self.scope = scope

    def chance(self, probability: float) -> bool:
        """True with the given probability, 0-1."""
        return self.rng.random() < probability

    def literal(self, kind: str) -> str:
        """A constant of a simple type."""
        if kind in INTS:
            return str(self.rng.choice((0, 1, 1, 2, 2, 3, 4, 5, 7, 8, 10, 10, 12, 20, 50, 100)))
        if kind == "f64":
            return self.rng.choice(("0.0", "0.5", "1.0", "1.5", "2.0", "10.0", "100.0"))
        if kind == "bool":
            return self.rng.choice(("true", "false"))
        if kind == "char":
            return f"'{self.rng.choice(LETTERS)}'"
        if kind == "&str":
            return f'"{self.rng.choice(LITERALS)}"'
        return f'"{self.rng.choice(LITERALS)}".to_string()'

    def atom(self, kind: str) -> str:
        """A variable or literal: safe beside any operator, but not before a dot."""
        names = [v.name for v in self.scope.of(kind)]
        if names and self.chance(0.75):
            return self.rng.choice(names)
        return self.literal(kind)

    def of(self, kind: str, depth: int = 1) -> str:
        """An expression of type `kind`; `depth` bounds its nesting."""
        if kind in INTS:
            return self._pick(self._integers(kind, depth))
        simple: dict[str, Callable[[int], list[str]]] = {
            "f64": self._floats,
            "bool": self._conditions,
            "String": self._strings,
            "&str": lambda _depth: self._slices(),
            "char": lambda _depth: [self.atom("char")],
        }
        if kind in simple:
            return self._pick(simple[kind](depth))
        if kind.startswith("Vec<"):
            return self._pick(self._vectors(kind))
        if kind.startswith("Option<"):
            inner = element(kind)
            same = [f"{v.name}.clone()" for v in self.scope.of(kind)]
            return self._pick([f"Some({self.of(inner, 0)})", "None", *same])
        if kind.startswith("("):
            return f"({', '.join(self.of(part, 0) for part in kind[1:-1].split(', '))})"
        raise ValueError(f"no expression is known for the type {kind}")

    def condition(self, depth: int = 1) -> str:
        """A bool expression that is not a constant."""
        return self._pick([c for c in self._conditions(depth) if c not in ("true", "false")])

    def _pick(self, choices: list[str]) -> str:
        return self.rng.choice(choices)

    def _integers(self, kind: str, depth: int) -> list[str]:
        choices = [self.atom(kind), *self._arithmetic(kind, depth), *self._converted(kind)]
        if depth and self.chance(0.15):
            choices.append(self._choice(kind))
        return choices

    def _arithmetic(self, kind: str, depth: int) -> list[str]:
        """Operators and methods on a variable of the type."""
        rng, names = self.rng, [v.name for v in self.scope.of(kind)]
        if not names:
            return []
        a, b, k = rng.choice(names), self.atom(kind), rng.choice((2, 3, 4, 5, 10))
        minus = f"{a} - {b}" if kind in SIGNED else f"{a}.saturating_sub({b})"
        choices = [f"{a} + {b}", f"{a} * {k}", f"{a} + {k}", minus, f"{a} / {k}", f"{a} % {k}"]
        choices.append(rng.choice((f"{a}.max({b})", f"{a}.min({b})")))
        if kind in SIGNED and self.chance(0.4):
            choices.append(f"{a}.abs()")
        if depth and self.chance(0.5):
            op = rng.choice("+*")
            choices.append(f"({self.of(kind, depth - 1)}) {op} {self.atom(kind)}")
        return choices

    def _converted(self, kind: str) -> list[str]:
        """Values of the type that variables of other types give."""
        choices: list[str] = []
        suffix = "" if kind == "usize" else f" as {kind}"
        for v in self.scope.all():
            if family(v.kind) == "Vec" or v.kind in ("String", "&str"):
                choices.append(f"{v.name}.len(){suffix}")
            elif v.kind in INTS and v.kind != kind and self.chance(0.8):
                choices.append(f"{v.name} as {kind}")
            elif v.kind == f"Option<{kind}>":
                choices += [f"{v.name}.unwrap_or({self.literal(kind)})"] * 2
        choices += [f"{v.name}[0]" for v in self.scope.sequences(kind) if self.chance(0.3)]
        choices += [f"{v.name}.iter().sum::<{kind}>()" for v in self.scope.sequences(kind)]
        return choices

    def _choice(self, kind: str) -> str:
        yes, no = self.of(kind, 0), self.of(kind, 0)
        return f"if {self.condition(0)} {{ {yes} }} else {{ {no} }}"

    def _floats(self, depth: int) -> list[str]:
        names = [v.name for v in self.scope.of("f64")]
        choices = [self.atom("f64")]
        if names:
            a, b = self.rng.choice(names), self.atom("f64")
            op = self.rng.choice("+-*/")
            choices += [f"{a} {op} {b}", f"{a} * {self.literal('f64')}", f"{a}.abs()"]
            choices += [f"{a}.max({b})", f"{a}.sqrt()"]
            if depth:
                choices.append(f"({self.of('f64', depth - 1)}) * {self.atom('f64')}")
        choices += [f"{v.name} as f64" for v in self.scope.of(*INTS)]
        choices += [f"{v.name}.iter().sum::<f64>()" for v in self.scope.sequences("f64")]
        return choices

    def _comparisons(self) -> list[str]:
        rng, choices = self.rng, []
        for v in self.scope.of(*INTS):
            op = rng.choice(("<", ">", "<=", ">=", "==", "!=", ">"))
            right = self.literal(v.kind) if self.chance(0.6) else self.atom(v.kind)
            if right == v.name:
                right = self.literal(v.kind)
            if op in ("<", ">=") and right == "0":
                right = "1"
            choices.append(f"{v.name} {op} {right}")
            if self.chance(0.4):
                k = rng.choice((3, 4, 5, 7, 10))
                choices.append(f"{v.name} % {k} == {rng.choice((0, 0, 1))}")
        floats = self.scope.of("f64")
        choices += [f"{v.name} {rng.choice('<>')} {self.literal('f64')}" for v in floats]
        return choices

    def _conditions(self, depth: int) -> list[str]:
        rng, choices = self.rng, self._comparisons()
        for v in self.scope.all():
            choices += self._tests(v)
        if not choices:
            return [self.literal("bool")]
        if depth and self.chance(0.25):
            left, right = rng.choice(choices), rng.choice(choices)
            choices.append(f"{left} {rng.choice(('&&', '||'))} {right}")
        return choices

    def _tests(self, v: Variable) -> list[str]:
        """What can be asked of a variable that is no number."""
        rng, name = self.rng, v.name
        if v.kind == "bool":
            return [name, f"!{name}"]
        if v.kind in ("String", "&str"):
            test = rng.choice(("starts_with", "ends_with", "contains"))
            length = f"{name}.len() {rng.choice('<>')} {rng.choice((1, 2, 3, 5, 8))}"
            return [f"{name}.is_empty()", f"{name}.{test}({self.literal('char')})", length]
        if v.kind == "char":
            kind = rng.choice(("alphabetic", "numeric", "whitespace", "uppercase"))
            return [f"{name}.is_{kind}()", f"{name} == {self.literal('char')}"]
        if family(v.kind) == "Option":
            return [f"{name}.is_some()", f"{name}.is_none()"]
        if family(v.kind) != "Vec":
            return []
        tests = [f"{name}.is_empty()", f"{name}.len() > {rng.choice((1, 2, 3, 5))}"]
        if element(v.kind) in INTS:
            tests.append(f"{name}.contains(&{self.atom(element(v.kind))})")
        return tests

    def _displayed(self) -> list[str]:
        return [v.name for v in self.scope.all() if v.kind in DISPLAYABLE]

    def _strings(self, depth: int) -> list[str]:
        choices = []
        for v in self.scope.of("&str", "String"):
            call = self.rng.choice(("to_uppercase()", "to_lowercase()", "trim().to_string()"))
            choices += [f"{v.name}.{call}", f"{v.name}.to_string()"]
            if self.chance(0.3):
                choices.append(f"{v.name}.repeat({self.rng.choice((2, 3))})")
        choices += [f"{v.name}.to_string()" for v in self.scope.of(*INTS, "char", "bool")]
        for v in self.scope.sequences("String"):
            between = self.rng.choice((", ", "-", " ", "/"))
            choices.append(f'{v.name}.join("{between}")')
        if self._displayed() and depth:
            choices += [self.formatted()] * 2
        return choices or [self.literal("String"), "String::new()"]

    def formatted(self) -> str:
        """A `format!` call over one or two variables in scope."""
        names, word = self._displayed(), self.rng.choice(LITERALS)
        first = self.rng.choice(names) if names else "1"
        if self.chance(0.5):
            shape = self.rng.choice(("{} {}", "{}: {}", "{}-{}", "({}, {})", "{}/{}"))
            second = self.rng.choice(names) if names else "2"
            return f'format!("{shape}", {first}, {second})'
        shape = self.rng.choice((f"{word} {{}}", f"{word}: {{}}", "[{}]", f"{{}} {word}"))
        return f'format!("{shape}", {first})'

    def _slices(self) -> list[str]:
        choices = [self.literal("&str")]
        for v in self.scope.of("&str"):
            choices += [v.name, f"{v.name}.trim()"]
        choices += [f"{v.name}.as_str()" for v in self.scope.of("String")]
        return choices

    def _vectors(self, kind: str) -> list[str]:
        inner = element(kind)
        count = self.rng.choice((1, 2, 2, 3))
        choices = [f"vec![{', '.join(self.of(inner, 0) for _ in range(count))}]"]
        choices += [f"{v.name}.to_vec()" for v in self.scope.sequences(inner)] * 2
        return choices
