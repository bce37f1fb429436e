"""Python functions with annotations and docstrings, typed the same way as the Rust ones."""

from collections.abc import Callable
from random import Random

from program_generator.words import LITERALS, MESSAGES, NOUNS, VERBS, listed

Lines = list[str]
POOLS = {
    "int": listed("n a b k count limit value"),
    "float": listed("x y ratio scale weight"),
    "str": listed("text word line name label"),
    "bool": listed("flag ready strict"),
    "list[int]": listed("numbers values items nums rows"),
    "list[str]": listed("words names parts tags lines"),
    "dict[str, int]": listed("counts prices table stock scores"),
}
SUMMARIES = {
    "int": listed("count measure total level size"),
    "float": listed("average ratio share weight"),
    "str": listed("text label summary heading"),
    "bool": listed("test check"),
    "list[int]": listed("kept numbers,changed numbers,chosen values", ","),
    "list[str]": listed("kept words,changed names,chosen parts", ","),
    "dict[str, int]": listed("table,mapping,lookup", ","),
}
PARAMETER_WEIGHTS = (5, 2, 5, 1, 6, 3, 1)
RESULT_WEIGHTS = (6, 2, 5, 5, 5, 3, 2)


class PythonFunction:
    """One function under construction: the types of its variables decide what it may say."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.variables: dict[str, str] = {}
        self.name = f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}"
        for kind in rng.choices(list(POOLS), PARAMETER_WEIGHTS, k=rng.choice((1, 1, 2, 2, 3))):
            free = [name for name in POOLS[kind] if name not in self.variables]
            self.variables[free[min(int(rng.expovariate(0.7)), len(free) - 1)]] = kind
        self.parameters = dict(self.variables)
        self.result = rng.choices(list(POOLS), RESULT_WEIGHTS)[0]

    def names(self, *kinds: str) -> list[str]:
        """The variables of these types."""
        return [name for name, kind in self.variables.items() if kind in kinds]

    def literal(self, kind: str) -> str:
        """A constant."""
        rng = self.rng
        return {
            "int": str(rng.choice((0, 1, 2, 3, 5, 10, 100))),
            "float": rng.choice(("0.0", "0.5", "1.0", "2.0")),
            "str": f'"{rng.choice(LITERALS)}"',
            "bool": rng.choice(("True", "False")),
            "list[int]": "[]",
            "list[str]": "[]",
            "dict[str, int]": "{}",
        }[kind]

    def expression(self, kind: str) -> str:
        """An expression of the wanted type."""
        makers: dict[str, Callable[[], list[str]]] = {
            "int": self._integers,
            "float": self._floats,
            "str": self._strings,
            "bool": self._conditions,
            "list[int]": self._numbers,
            "list[str]": self._words,
            "dict[str, int]": self._tables,
        }
        return self.rng.choice(self.names(kind) + makers[kind]() * 2 or [self.literal(kind)])

    def condition(self) -> str:
        """A bool expression over a variable."""
        return self.rng.choice(self._conditions() or ["True"])

    def _integers(self) -> list[str]:
        k = self.rng.choice((2, 3, 5, 10))
        found = [
            f"{v} {self.rng.choice(('+', '-', '*', '//', '%'))} {k}" for v in self.names("int")
        ]
        found += [f"len({v})" for v in self.names("str", "list[int]", "list[str]")]
        found += [f"sum({v})" for v in self.names("list[int]")]
        found += [f"max({v}, default={k})" for v in self.names("list[int]")]
        found += [f"sum({v}.values())" for v in self.names("dict[str, int]")]
        found += [f"sum(1 for v in {s} if v > {k})" for s in self.names("list[int]")]
        return found

    def _floats(self) -> list[str]:
        found = [
            f"{v} {self.rng.choice('+-*')} {self.literal('float')}" for v in self.names("float")
        ]
        found += [f"{v} / {self.rng.choice((2, 3, 10))}" for v in self.names("int", "float")]
        found += [f"sum({v}) / len({v})" for v in self.names("list[int]")]
        return found

    def _strings(self) -> list[str]:
        calls = ("upper()", "lower()", "strip()", "title()", 'replace(" ", "")')
        found = [f"{v}.{self.rng.choice(calls)}" for v in self.names("str")]
        found += [f"{v}[{self.rng.choice(('1:', ':2', '-3:', '::2'))}]" for v in self.names("str")]
        found += [
            f'f"{self.rng.choice(LITERALS)} {{{v}}}"' for v in self.names("int", "str", "float")
        ]
        found += [f'"{self.rng.choice("-,/ ")}".join({v})' for v in self.names("list[str]")]
        return found

    def _conditions(self) -> list[str]:
        rng = self.rng
        found = [f"{v} {rng.choice(('<', '>', '==', '>='))} {self.literal('int')}"
                 for v in self.names("int")]  # fmt: skip
        found += [f"{v} % {rng.choice((3, 4, 5))} == 0" for v in self.names("int")]
        found += [f"{v} {rng.choice('<>')} {self.literal('float')}" for v in self.names("float")]
        found += [f"not {v}" for v in self.variables]
        found += [f"{v}.startswith({self.literal('str')})" for v in self.names("str")]
        found += [f"any(v > {self.literal('int')} for v in {s})" for s in self.names("list[int]")]
        found += [f"all(w for w in {s})" for s in self.names("list[str]")]
        found += [f"len({v}) > {rng.choice((1, 2, 3))}" for v in self.names("list[int]", "str")]
        return found

    def _numbers(self) -> list[str]:
        k = self.rng.choice((3, 5, 10))
        found = [f"[v {self.rng.choice('+*')} {k} for v in {s}]" for s in self.names("list[int]")]
        found += [
            f"[v for v in {s} if v {self.rng.choice('<>')} {k}]" for s in self.names("list[int]")
        ]
        found += [f"sorted({s})[:{k}]" for s in self.names("list[int]")]
        found += [f"[len(w) for w in {s}]" for s in self.names("list[str]")]
        found += [f"list(range({v}))" for v in self.names("int")]
        return found

    def _words(self) -> list[str]:
        found = [f"{s}.split()" for s in self.names("str")]
        found += [f"[w for w in {s} if len(w) > {self.rng.choice((1, 2, 3))}]"
                  for s in self.names("list[str]")]  # fmt: skip
        found += [f"[w.{self.rng.choice(('upper()', 'strip()'))} for w in {s}]"
                  for s in self.names("list[str]")]  # fmt: skip
        found += [f"[str(v) for v in {s}]" for s in self.names("list[int]")]
        return found

    def _tables(self) -> list[str]:
        found = [f"{{w: len(w) for w in {s}}}" for s in self.names("list[str]")]
        found += [f"{{str(v): v for v in {s}}}" for s in self.names("list[int]")]
        found += [f"{{c: {s}.count(c) for c in {s}}}" for s in self.names("str")]
        return found

    def docstring(self) -> str:
        """One line about the result and the parameters."""
        what, rng = self.rng.choice(SUMMARIES[self.result]), self.rng
        names = " and ".join(self.parameters)
        test = f"Tell whether {names} {rng.choice(('fits', 'is in range', 'can be used'))}."
        plain = f"Return the {what} of {names}."
        return (
            test if self.result == "bool" else rng.choice((plain, f"Give the {what} for {names}."))
        )

    def _loop(self) -> Lines:
        """An accumulator and a loop over something in scope."""
        sources = [(s, "v") for s in self.names("list[int]")]
        sources += [(f"range({n})", "i") for n in self.names("int")]
        if not sources or self.result not in ("int", "list[int]"):
            return [f"return {self.expression(self.result)}"]
        source, element = self.rng.choice(sources)
        name = "total" if self.result == "int" else "result"
        value = self.rng.choice((element, f"{element} * 2", f"{element} + 1"))
        update = f"{name} += {value}" if self.result == "int" else f"{name}.append({value})"
        body = [update]
        if self.rng.random() < 0.6:
            test = self.rng.choice((f"{element} > {self.literal('int')}", f"{element} % 3 == 0"))
            body = [f"if {test}:", f"    {update}"]
        start = "0" if self.result == "int" else "[]"
        loop = [f"for {element} in {source}:", *(f"    {line}" for line in body)]
        return [f"{name} = {start}", *loop, f"return {name}"]

    def body(self) -> Lines:
        """Statements that end with a return."""
        rng, lines = self.rng, list[str]()
        if rng.random() < 0.35:
            early = f"return {self.literal(self.result)}"
            if rng.random() < 0.2:
                early = f'raise ValueError("{rng.choice(MESSAGES)}")'
            lines += [f"if {self.condition()}:", f"    {early}"]
        if rng.random() < 0.25:
            kind = rng.choice(("int", "str", "list[int]"))
            value = self.expression(kind)
            name = {"int": "base", "str": "part", "list[int]": "kept"}[kind]
            self.variables[name] = kind
            lines.append(f"{name} = {value}")
        return lines + (
            self._loop() if rng.random() < 0.35 else [f"return {self.expression(self.result)}"]
        )

    def lines(self) -> Lines:
        """The whole function."""
        declared = ", ".join(f"{name}: {kind}" for name, kind in self.parameters.items())
        head = f"def {self.name}({declared}) -> {self.result}:"
        doc = [f'"""{self.docstring()}"""'] if self.rng.random() < 0.85 else []
        if doc and self.rng.random() < 0.3:
            arguments = ", ".join(self.literal(kind) for kind in self.parameters.values())
            example = [f">>> {self.name}({arguments})", self.literal(self.result)]
            doc = [doc[0][:-3], "", *example, '"""']
        inside = [f"    {line}" if line else line for line in [*doc, *self.body()]]
        return [head, *inside]


def python_document(rng: Random) -> str:
    """One Python function."""
    return "\n".join(PythonFunction(rng).lines())
