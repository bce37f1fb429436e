"""Structs, enums and their impls, each impl drawn over the fields or variants declared before."""

from random import Random

from program_generator.rust_bodies import Bodies
from program_generator.rust_expressions import Expressions, Lines, indented
from program_generator.rust_functions import weighted
from program_generator.scope import INTS, Scope, family
from program_generator.words import ENUM_NAMES, FIELDS, METHOD_VERBS, NOUNS, TYPE_NAMES, VARIANTS

FIELD_KINDS = (
    ("i32", 6), ("u32", 4), ("f64", 7), ("u64", 2), ("usize", 2), ("i64", 1), ("String", 4),
    ("bool", 2), ("char", 1), ("Vec<i32>", 1), ("Option<u32>", 1),
)  # fmt: skip
RESULTS = (("i32", 3), ("u32", 2), ("f64", 4), ("bool", 3), ("String", 3), ("usize", 1), ("u64", 1))
Fields = list[tuple[str, str]]


def type_name(rng: Random) -> str:
    """The name of a struct: one word, or two."""
    return (rng.choice(VARIANTS) if rng.random() < 0.4 else "") + rng.choice(TYPE_NAMES)


class Struct:
    """A struct with named fields."""

    def __init__(self, rng: Random, *, simple: bool = False) -> None:
        self.rng = rng
        self.name = type_name(rng)
        self.fields: Fields = []
        shared = rng.choice(("i32", "f64", "u32", "i32", "f64")) if rng.random() < 0.5 else ""
        for _ in range(rng.choice((2, 2, 2, 3, 3, 4))):
            kind = shared or weighted(rng, FIELD_KINDS)
            if simple and family(kind) in ("Vec", "Option"):
                kind = "i32"
            free = [f for f in FIELDS[family(kind)] if f not in dict(self.fields)]
            if not free:
                continue
            self.fields.append((rng.choice(free), kind))

    def declaration(self, derive: str = "") -> Lines:
        """The lines of the declaration, after an optional attribute."""
        fields = [f"    {name}: {kind}," for name, kind in self.fields]
        return [*([derive] if derive else []), f"struct {self.name} {{", *fields, "}"]

    def scope(self) -> Scope:
        """A scope in which every field is reachable through `self`."""
        scope = Scope(self.rng)
        for name, kind in self.fields:
            scope.add(f"self.{name}", kind)
        return scope

    def constructor(self) -> Lines:
        """`fn new`, one parameter a field."""
        own = self.rng.choice(("Self", "Self", self.name))
        declared = ", ".join(f"{name}: {kind}" for name, kind in self.fields)
        names = ", ".join(name for name, _ in self.fields)
        made = self.rng.choice(("Self", own))
        return [f"fn new({declared}) -> {own} {{", f"    {made} {{ {names} }}", "}"]

    def literal(self) -> str:
        """A value of the type made of constants."""
        inside = ", ".join(f"{name}: {constant(self.rng, kind)}" for name, kind in self.fields)
        return f"{{ {inside} }}"


def constant(rng: Random, kind: str) -> str:
    """A constant expression of any field type."""
    if kind.startswith("Vec<"):
        return "Vec::new()"
    if kind.startswith("Option<"):
        return "None"
    if kind == "String":
        return rng.choice(("String::new()", Expressions(rng, Scope(rng)).literal(kind)))
    return Expressions(rng, Scope(rng)).literal(kind)


def method(struct: Struct, name: str) -> Lines:
    """A method that reads the fields."""
    rng, scope = struct.rng, struct.scope()
    parameter = ""
    if rng.random() < 0.3:
        kind = rng.choice(("i32", "f64", "u32"))
        parameter = f", {rng.choice(('other', 'by', 'limit'))}"
        scope.add(parameter[2:], kind)
        parameter += f": {kind}"
    result = rng.choice([k for _, k in struct.fields if k in (*INTS, "f64")] or ["bool"])
    result = result if rng.random() < 0.5 else weighted(rng, RESULTS)
    bodies = Bodies(Expressions(rng, scope))
    body = [bodies.tail(result)] if rng.random() < 0.7 else bodies.of(result)
    return [f"fn {name}(&self{parameter}) -> {result} {{", *indented(body), "}"]


def getter(struct: Struct) -> Lines:
    """A method that hands one field out."""
    name, kind = struct.rng.choice(struct.fields)
    if kind == "String":
        return [f"fn {name}(&self) -> &str {{", f"    &self.{name}", "}"]
    clone = (
        "" if kind in (*INTS, "f64", "bool", "char") or kind.startswith("Option") else ".clone()"
    )
    return [f"fn {name}(&self) -> {kind} {{", f"    self.{name}{clone}", "}"]


def setter(struct: Struct) -> Lines:
    """A method that changes one field."""
    rng = struct.rng
    name, kind = rng.choice(struct.fields)
    verb = rng.choice(("set", "update", "put"))
    if kind in (*INTS, "f64") and rng.random() < 0.6:
        verb = rng.choice(("add", "raise", "grow"))
        return [f"fn {verb}_{name}(&mut self, by: {kind}) {{", f"    self.{name} += by;", "}"]
    if kind == "Vec<i32>":
        return [f"fn push_{name}(&mut self, value: i32) {{", f"    self.{name}.push(value);", "}"]
    return [f"fn {verb}_{name}(&mut self, {name}: {kind}) {{", f"    self.{name} = {name};", "}"]


def combined(struct: Struct) -> Lines:
    """A method that takes a second value of the same type by reference."""
    rng = struct.rng
    numbers = [(n, k) for n, k in struct.fields if k in (*INTS, "f64")]
    if not numbers:
        return getter(struct)
    name, kind = rng.choice(numbers)
    verb, other = rng.choice(METHOD_VERBS), rng.choice((f"&{struct.name}", "&Self"))
    if rng.random() < 0.4:
        body, result = f"self.{name} {rng.choice('<>')} other.{name}", "bool"
    else:
        body, result = f"self.{name} {rng.choice('+*')} other.{name}", kind
    return [f"fn {verb}_{name}(&self, other: {other}) -> {result} {{", f"    {body}", "}"]


def separated(blocks: list[Lines]) -> Lines:
    """Blocks joined by empty lines."""
    lines: Lines = []
    for block in blocks:
        lines += ["", *block] if lines else block
    return lines


def inherent_impl(struct: Struct) -> Lines:
    """`impl Name`, one to three functions."""
    rng = struct.rng
    blocks = [struct.constructor()] if rng.random() < 0.75 else []
    for _ in range(rng.choice((1, 1, 1, 2)) if blocks else rng.choice((1, 2))):
        kind = rng.choice((getter, setter, combined, None, None))
        name = f"{rng.choice(METHOD_VERBS)}_{rng.choice(NOUNS)}"
        block = kind(struct) if kind else method(struct, name)
        if block[0].split("(")[0] not in {other[0].split("(")[0] for other in blocks}:
            blocks.append(block)
    return [f"impl {struct.name} {{", *indented(separated(blocks)), "}"]


class Enum:
    """An enum with plain variants, or with one number in some."""

    def __init__(self, rng: Random, *, plain: bool = False) -> None:
        self.rng = rng
        self.name = rng.choice(ENUM_NAMES)
        names = rng.sample(VARIANTS, rng.choice((2, 3, 3, 3, 4)))
        holds = not plain and rng.random() < 0.35
        kinds = ("i32", "f64", "u32", "String")
        self.variants = [
            (name, rng.choice(kinds) if holds and rng.random() < 0.6 else "") for name in names
        ]

    def declaration(self, derive: str = "") -> Lines:
        """The lines of the declaration, after an optional attribute."""
        lines = [f"    {name}({kind})," if kind else f"    {name}," for name, kind in self.variants]
        return [*([derive] if derive else []), f"enum {self.name} {{", *lines, "}"]

    def method(self) -> Lines:
        """A method that matches every variant."""
        rng = self.rng
        result = rng.choice(("&str", "i32", "u32", "bool", "String", "f64"))
        shown = "&'static str" if result == "&str" and rng.random() < 0.5 else result
        arms = []
        for name, kind in self.variants:
            scope = Scope(rng)
            pattern = name
            if kind:
                bound = "value" if kind != "String" else "text"
                pattern = f"{name}(_)"
                if result == "String":
                    scope.add(bound, "&str" if kind == "String" else kind)
                    pattern = f"{name}({bound})"
            value = Expressions(rng, scope).of(result) if scope.all() else constant(rng, result)
            arms.append(f"{rng.choice(('Self', self.name))}::{pattern} => {value},")
        name = f"{rng.choice(METHOD_VERBS)}_{rng.choice(NOUNS)}"
        body = ["match self {", *indented(arms), "}"]
        return [f"fn {name}(&self) -> {shown} {{", *indented(body), "}"]

    def implementation(self) -> Lines:
        """`impl Name` with one method."""
        return [f"impl {self.name} {{", *indented(self.method()), "}"]
