"""Bodies of Rust functions: statements over a scope, ended by a tail of the wanted type."""

from collections.abc import Callable

from program_generator.rust_chains import Chains
from program_generator.rust_expressions import Expressions, Lines, indented
from program_generator.rust_fallible import Fallible
from program_generator.rust_loops import Loops
from program_generator.scope import INTS, Scope, element, family


class Bodies:
    """Draws the lines between the braces of a function."""

    def __init__(self, expressions: Expressions) -> None:
        self.expressions = expressions
        self.rng = expressions.rng
        self.scope: Scope = expressions.scope
        self.chains = Chains(expressions)
        self.loops = Loops(expressions)
        self.fallible = Fallible(expressions, self.tail)

    def of(self, kind: str) -> Lines:
        """A whole body whose value has the type `kind`."""
        opening: Lines = []
        if self.rng.random() < 0.25:
            opening += self._guard(kind)
        if self.rng.random() < 0.3:
            opening += self._let()
        return opening + self._ending(kind)

    def _ending(self, kind: str) -> Lines:
        name = "Option" if kind.startswith("Option<") else family(kind)
        name = "Result" if kind.startswith("Result<") else name
        families: dict[str, tuple[Callable[[str], Lines], ...]] = {
            "int": (
                self._tail,
                self._tail,
                self._chain,
                self.loops.accumulated,
                self.loops.accumulated,
                self._branches,
            ),
            "f64": (self._tail, self._tail, self._chain, self.loops.accumulated, self._branches),
            "bool": (self._tail, self._tail, self._chain, self.loops.searched, self._branches),
            "String": (self._tail, self._chain, self.loops.text, self.loops.text, self._branches),
            "char": (self._tail, self._branches),
            "&str": (self._tail, self._branches, self._branches),
            "Vec": (
                self._chain,
                self._chain,
                self.loops.pushes,
                self.loops.pushes,
                self.loops.sorted,
            ),
            "Option": (
                self.fallible.option,
                self.fallible.option,
                self._chain,
                self._chain,
                self.loops.searched,
            ),
            "Result": (
                self.fallible.checked,
                self.fallible.checked,
                self.fallible.parsed,
                self.fallible.parsed,
                self.fallible.parsed,
            ),
            "tuple": (self._tail,),
        }
        return self.rng.choice(families[name])(kind)

    def tail(self, kind: str) -> str:
        """A final expression: may move an owned local out."""
        owned = [v.name for v in self.scope.of(kind) if v.movable]
        if owned and self.rng.random() < 0.5:
            return self.rng.choice(owned)
        if kind.startswith("Result<"):
            return f"Ok({self.tail(element(kind))})"
        return self.expressions.of(kind)

    def _tail(self, kind: str) -> Lines:
        return [self.tail(kind)]

    def _let(self) -> Lines:
        kind = self.rng.choice(("i32", "i32", "usize", "bool", "f64", "String", "u64"))
        kinds = {v.kind for v in self.scope.all()}
        if kind in ("f64", "u64") and kind not in kinds:
            kind = "usize"
        value = self.expressions.condition() if kind == "bool" else self.expressions.of(kind)
        name = self.scope.fresh_local(kind)
        typed = f"{name}: {kind}" if value[0].isdigit() or "sum" in value else name
        self.scope.add(name, kind, movable=True)
        return [f"let {typed} = {value};"]

    def early(self, kind: str) -> str:
        """A short value to return early with."""
        if kind.startswith("Option<"):
            return "None"
        if kind.startswith("Result<"):
            return self.fallible.error()
        if kind.startswith("Vec<"):
            return "Vec::new()"
        if kind == "String":
            return self.rng.choice(("String::new()", self.expressions.literal(kind)))
        return self.expressions.literal(kind) if kind[0] != "(" else self.expressions.of(kind, 0)

    def _guard(self, kind: str) -> Lines:
        if kind.endswith("ParseIntError>"):
            return []
        return [f"if {self.expressions.condition()} {{", f"    return {self.early(kind)};", "}"]

    def _chain(self, kind: str) -> Lines:
        chain = self.chains.of(kind)
        return [chain] if chain else self._tail(kind)

    def _branches(self, kind: str) -> Lines:
        subjects = self.scope.of("i32", "u32", "u64", "usize", "i64", "&str", "char")
        if subjects and self.rng.random() < 0.5:
            subject = self.rng.choice(subjects)
            arms = self._patterns(subject.kind)
            lines = [f"{arm} => {self._arm(kind)}," for arm in (*arms, "_")]
            return [f"match {subject.name} {{", *indented(lines), "}"]
        lines = [f"if {self.expressions.condition()} {{", f"    {self.tail(kind)}"]
        if self.rng.random() < 0.35:
            lines += [f"}} else if {self.expressions.condition()} {{", f"    {self.tail(kind)}"]
        return [*lines, "} else {", f"    {self.tail(kind)}", "}"]

    def _arm(self, kind: str) -> str:
        if self.rng.random() < 0.5 and kind in (*INTS, "f64", "bool", "char", "&str", "String"):
            return self.expressions.literal(kind)
        return self.tail(kind)

    def _patterns(self, kind: str) -> list[str]:
        count = self.rng.choice((1, 2, 2, 3))
        found: list[str] = []
        while len(found) < count:
            pattern = self.expressions.literal(kind)
            if kind in INTS and self.rng.random() < 0.25:
                low = self.rng.choice((2, 5, 10))
                pattern = f"{low}..={low + self.rng.choice((3, 5, 9))}"
            if pattern not in found:
                found.append(pattern)
        return found
