"""Rust functions: typed parameters, a result type and a body drawn for it; generic ones too."""

from random import Random

from program_generator.rust_bodies import Bodies
from program_generator.rust_expressions import Expressions, Lines, indented
from program_generator.scope import INTS, Scope
from program_generator.words import NOUNS, VERBS

PARAMETER_KINDS = (
    ("i32", 7), ("u32", 2), ("u64", 4), ("i64", 2), ("usize", 3), ("f64", 3), ("bool", 1),
    ("char", 1), ("String", 1), ("&str", 10), ("&[i32]", 12), ("&[u32]", 1), ("&[u64]", 1),
    ("&[i64]", 1), ("&[f64]", 2), ("&[String]", 1), ("Vec<i32>", 3), ("Vec<String>", 1),
    ("Option<i32>", 1), ("Option<usize>", 1),
)  # fmt: skip
RESULT_KINDS = (
    ("i32", 6), ("u32", 2), ("u64", 4), ("i64", 2), ("usize", 3), ("f64", 3), ("bool", 5),
    ("String", 6), ("&str", 0), ("Vec<i32>", 7), ("Vec<String>", 2), ("Vec<char>", 1),
    ("Option<i32>", 6), ("Option<usize>", 2), ("Option<char>", 1), ("Option<u64>", 1),
    ("Result<i32, String>", 3), ("Result<f64, String>", 1), ("Result<u32, String>", 1),
    ("Result<usize, String>", 1), ("Result<String, String>", 2),
    ("Result<i32, std::num::ParseIntError>", 3), ("Result<u64, std::num::ParseIntError>", 1),
    ("Result<i64, std::num::ParseIntError>", 1), ("(i32, i32)", 1),
)  # fmt: skip


def weighted(rng: Random, table: tuple[tuple[str, int], ...]) -> str:
    """One entry of a table of (entry, weight)."""
    return rng.choices([entry for entry, _ in table], [weight for _, weight in table])[0]


def function_name(rng: Random) -> str:
    """A verb and a noun."""
    return f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}"


class Function:
    """One function under construction: its scope and what draws from it."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.scope = Scope(rng)
        self.expressions = Expressions(rng, self.scope)
        self.bodies = Bodies(self.expressions)

    def parameters(self, kinds: list[str]) -> str:
        """Declare one parameter of each kind; the text between the parentheses."""
        parts = []
        for kind in kinds:
            name = self.scope.fresh_parameter(kind)
            self.scope.add(name, kind, movable=not kind.startswith("&"))
            parts.append(f"{name}: {kind}")
        return ", ".join(parts)


def function(rng: Random, *, head: str = "fn", name: str = "", result: str = "") -> Lines:
    """The lines of a whole function."""
    made = Function(rng)
    result = result or weighted(rng, RESULT_KINDS)
    count = rng.choice((1, 1, 1, 2, 2, 3))
    kinds = [weighted(rng, PARAMETER_KINDS) for _ in range(count)]
    if "ParseIntError" in result or (result.startswith("Result") and rng.random() < 0.5):
        kinds[0] = "&str"
    elif result.startswith(("Vec<", "Option<i32")) and rng.random() < 0.5:
        kinds[0] = "&[i32]"
    if result == "Vec<i32>" and len(kinds) == 2 and rng.random() < 0.4:
        kinds = ["&[i32]", "&[i32]"]
    name = name or function_name(rng)
    if result in INTS and rng.random() < 0.12:
        return recursive(rng, name, result)
    declared = made.parameters(kinds)
    body = made.bodies.of(result)
    return [f"{head} {name}({declared}) -> {result} {{", *indented(body), "}"]


def recursive(rng: Random, name: str, kind: str) -> Lines:
    """A function of one number that calls itself with a smaller one."""
    made = Function(rng)
    declared = made.parameters([kind])
    n = declared.split(":")[0]
    base = rng.choice((f"{n} <= 1", f"{n} < 2", f"{n} <= 2", f"{n} < 3"))
    less = rng.choice((f"{n} - 1", f"{n} / 2", f"{n} - 2"))
    again = f"{name}({less})"
    more = rng.choice((f"{n} + {again}", f"{again} + {n}", f"{again} * 2", f"{n} % 10 + {again}"))
    first = rng.choice(("1", "2", n))
    if rng.random() < 0.5:
        body = [f"if {base} {{", f"    return {first};", "}", more]
    else:
        body = [f"if {base} {{", f"    {first}", "} else {", f"    {more}", "}"]
    return [f"fn {name}({declared}) -> {kind} {{", *indented(body), "}"]
