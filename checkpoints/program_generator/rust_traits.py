"""Traits, and impls of local and standard traits for structs and enums."""

from random import Random

from program_generator.rust_bodies import Bodies
from program_generator.rust_expressions import Expressions, Lines, indented
from program_generator.rust_functions import function_name
from program_generator.rust_items import Enum, Struct, constant, separated
from program_generator.scope import DISPLAYABLE, INTS
from program_generator.words import LITERALS, TRAIT_METHODS, TRAIT_NAMES, TRAIT_TYPES

SIGNATURE_KINDS = ("i32", "u32", "f64", "&str", "bool", "usize", "&[i32]", "u64")
SIGNATURE_RESULTS = (
    "i32", "u32", "f64", "bool", "String", "usize", "Option<i32>", "Vec<i32>", "",
    "Result<i32, String>", "Result<String, String>",
)  # fmt: skip


def shown_fields(struct: Struct) -> str:
    """A `format!`-style argument list over the displayable fields."""
    rng = struct.rng
    names = [name for name, kind in struct.fields if kind in DISPLAYABLE]
    if not names:
        return f'"{struct.name}"'
    names = names if rng.random() < 0.7 else names[:1]
    between = rng.choice((", ", ", ", " ", ": ", "-", "/"))
    holes = between.join("{}" for _ in names)
    shape = rng.choice((f"({holes})", holes, f"[{holes}]", f"{struct.name}({holes})", f"<{holes}>"))
    return f'"{shape}", {", ".join(f"self.{name}" for name in names)}'


def display_impl(struct: Struct) -> Lines:
    """`impl fmt::Display`."""
    path = "std::fmt"
    body = f"write!(f, {shown_fields(struct)})"
    head = f"fn fmt(&self, f: &mut {path}::Formatter) -> {path}::Result {{"
    return [
        f"impl {path}::Display for {struct.name} {{",
        f"    {head}",
        f"        {body}",
        "    }",
        "}",
    ]


def to_string_impl(struct: Struct) -> Lines:
    """`impl ToString` by hand."""
    if struct.rng.random() < 0.75:
        body = [f"format!({shown_fields(struct)})"]
    else:
        body = [Bodies(Expressions(struct.rng, struct.scope())).tail("String")]
        body = body if "(" in body[0] else [f"{body[0]}.clone()"]
    inside = ["fn to_string(&self) -> String {", *indented(body), "}"]
    return [f"impl ToString for {struct.name} {{", *indented(inside), "}"]


def default_impl(struct: Struct) -> Lines:
    """`impl Default` with constants."""
    fields = [f"    {name}: {constant(struct.rng, kind)}," for name, kind in struct.fields]
    own = struct.rng.choice(("Self", struct.name))
    inside = ["fn default() -> Self {", *indented([f"{own} {{", *fields, "}"]), "}"]
    return [f"impl Default for {struct.name} {{", *indented(inside), "}"]


def from_impl(struct: Struct) -> Lines:
    """`impl From` a tuple of the fields."""
    kinds = ", ".join(kind for _, kind in struct.fields)
    names = ", ".join(name for name, _ in struct.fields)
    inside = [
        f"fn from(parts: ({kinds})) -> Self {{",
        f"    let ({names}) = parts;",
        f"    {struct.name} {{ {names} }}",
        "}",
    ]
    return [f"impl From<({kinds})> for {struct.name} {{", *indented(inside), "}"]


def operator_impl(struct: Struct) -> Lines:
    """An operator trait, field by field, where every field is a number."""
    if any(kind not in (*INTS, "f64") for _, kind in struct.fields):
        return display_impl(struct)
    trait, call, sign = struct.rng.choice(
        (("Add", "add", "+"), ("Sub", "sub", "-"), ("Mul", "mul", "*"))
    )
    lines = [f"    {name}: self.{name} {sign} other.{name}," for name, _ in struct.fields]
    inside = [
        f"type Output = {struct.name};",
        "",
        f"fn {call}(self, other: {struct.name}) -> {struct.name} {{",
        *indented([f"{struct.name} {{", *lines, "}"]),
        "}",
    ]
    return [f"impl std::ops::{trait} for {struct.name} {{", *indented(inside), "}"]


def equality_impl(struct: Struct) -> Lines:
    """`impl PartialEq`, by some fields."""
    tests = " && ".join(f"self.{name} == other.{name}" for name, _ in struct.fields[:2])
    inside = ["fn eq(&self, other: &Self) -> bool {", f"    {tests}", "}"]
    return [f"impl PartialEq for {struct.name} {{", *indented(inside), "}"]


def enum_display(enum: Enum) -> Lines:
    """`impl Display` for an enum with plain variants."""
    own, rng = enum.name, enum.rng
    arms = [f'{own}::{name} => write!(f, "{rng.choice(LITERALS)}"),' for name, _ in enum.variants]
    inside = [
        "fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {",
        *indented(["match self {", *indented(arms), "}"]),
        "}",
    ]
    return [f"impl std::fmt::Display for {own} {{", *indented(inside), "}"]


class Trait:
    """A trait: required signatures, now and then an associated type or a default body."""

    def __init__(self, rng: Random, *, plain: bool = False) -> None:
        self.rng = rng
        self.name = rng.choice(TRAIT_NAMES)
        self.associated = rng.choice(TRAIT_TYPES) if (not plain and rng.random() < 0.2) else ""
        self.signatures: list[tuple[str, str]] = []
        for _ in range(rng.choice((1, 1, 2, 2, 3))):
            self.signatures.append(self._signature())

    def _signature(self) -> tuple[str, str]:
        rng = self.rng
        receiver = rng.choice(("&self", "&self", "&self", "&mut self"))
        kinds = [rng.choice(SIGNATURE_KINDS) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
        names = rng.sample(("input", "value", "limit", "other", "text", "index"), len(kinds))
        declared = ", ".join([receiver, *(f"{n}: {k}" for n, k in zip(names, kinds, strict=True))])
        result = rng.choice(SIGNATURE_RESULTS)
        if self.associated and rng.random() < 0.6:
            own = f"Self::{self.associated}"
            result = rng.choice((own, f"Option<{own}>", f"Result<{own}, String>"))
        name = function_name(rng) if rng.random() < 0.6 else rng.choice(TRAIT_METHODS)
        return f"fn {name}({declared})", result

    def declaration(self) -> Lines:
        """The lines of the trait."""
        blocks = [[f"type {self.associated};"]] if self.associated else []
        seen: set[str] = set()
        for head, result in self.signatures:
            if head.split("(")[0] in seen:
                continue
            seen.add(head.split("(")[0])
            arrow = f" -> {result}" if result else ""
            if self.rng.random() < 0.2 and result and "Self" not in result:
                value = constant(self.rng, result.removeprefix("Result<").split(", ")[0])
                body = f"Ok({value})" if result.startswith("Result<") else value
                blocks.append([f"{head}{arrow} {{", f"    {body}", "}"])
            else:
                blocks.append([f"{head}{arrow};"])
        lines = separated(blocks) if self.rng.random() < 0.6 else [x for b in blocks for x in b]
        return [f"trait {self.name} {{", *indented(lines), "}"]


def trait_with_impl(rng: Random) -> list[Lines]:
    """A struct, a trait with one reading method, and the impl that joins them."""
    struct, trait = Struct(rng), rng.choice(TRAIT_NAMES)
    result = rng.choice(("i32", "f64", "bool", "String", "u32", "usize"))
    head = f"fn {function_name(rng)}(&self) -> {result}"
    body = [Bodies(Expressions(rng, struct.scope())).tail(result)]
    if result == "String" and body[0].startswith("self.") and "(" not in body[0]:
        body = [f"{body[0]}.clone()"]
    inside = [f"{head} {{", *indented(body), "}"]
    made = [f"impl {trait} for {struct.name} {{", *indented(inside), "}"]
    return [struct.declaration(), [f"trait {trait} {{", f"    {head};", "}"], made]
