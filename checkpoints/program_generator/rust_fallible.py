"""Bodies of functions that may fail: `Option`, `Result` and parsed text."""

from collections.abc import Callable

from program_generator.rust_expressions import Expressions, Lines, indented
from program_generator.scope import INTS, Scope, element, family
from program_generator.words import MESSAGES


class Fallible:
    """Draws statements that end in an `Option` or a `Result`."""

    def __init__(self, expressions: Expressions, tail: Callable[[str], str]) -> None:
        self.expressions = expressions
        self.rng = expressions.rng
        self.scope: Scope = expressions.scope
        self.tail = tail

    def error(self) -> str:
        """An `Err` of a `String` that says what is wrong."""
        message = self.rng.choice(MESSAGES)
        shown = [v.name for v in self.scope.all() if v.kind in (*INTS, "&str", "String")]
        if shown and self.rng.random() < 0.4:
            return f'Err(format!("{message}: {{}}", {self.rng.choice(shown)}))'
        return f'Err("{message}".to_string())'

    def option(self, kind: str) -> Lines:
        """Statements that end in an `Option`."""
        inner = element(kind)
        condition = self.expressions.condition()
        good = f"Some({self.tail(inner)})"
        options = [
            [f"if {condition} {{", f"    {good}", "} else {", "    None", "}"],
            [f"if {condition} {{", "    return None;", "}", good],
        ]
        for v in self.scope.all():
            if family(v.kind) == "Vec" and element(v.kind) == inner and inner in (*INTS, "f64"):
                call = self.rng.choice(("first()", "last()", "get(1)"))
                name = self.rng.choice(("first", "value", "head"))
                k = self.expressions.literal(inner)
                options += [[f"let {name} = {v.name}.{call}?;", f"Some(*{name} + {k})"]]
                options += [self._best(v.name)] * 2
            elif v.kind == "&str" and inner in INTS:
                options.append(
                    [f"let value: {inner} = {v.name}.trim().parse().ok()?;", "Some(value)"]
                )
            elif v.kind == kind and inner in INTS:
                options.append([f"{v.name}.map(|x| x + {self.expressions.literal(inner)})"])
        return self.rng.choice(options)

    def _best(self, source: str) -> Lines:
        """The extreme element, kept while looping."""
        name, sign = self.rng.choice(("best", "top", "low")), self.rng.choice("<>")
        test = [f"if x {sign} {name} {{", f"    {name} = x;", "}"]
        loop = [f"for &x in {source}.iter() {{", *indented(test), "}"]
        if self.rng.random() < 0.5:
            head = ["if " + f"{source}.is_empty() {{", "    return None;", "}"]
            return [*head, f"let mut {name} = {source}[0];", *loop, f"Some({name})"]
        return [f"let mut {name} = *{source}.first()?;", *loop, f"Some({name})"]

    def checked(self, kind: str) -> Lines:
        """A condition that decides between `Ok` and `Err`."""
        if kind.endswith("ParseIntError>"):
            return self.parsed(kind)
        inner, error = element(kind), self.error()
        condition, good = self.expressions.condition(), f"Ok({self.tail(inner)})"
        options = [
            [f"if {condition} {{", f"    return {error};", "}", good],
            [f"if {condition} {{", f"    {good}", "} else {", f"    {error}", "}"],
        ]
        arms = ["    Some(v) => Ok(v),", f"    None => {error},", "}"]
        options += [[f"match {v.name} {{", *arms] for v in self.scope.of(f"Option<{inner}>")]
        return self.rng.choice(options)

    def parsed(self, kind: str) -> Lines:
        """Text that is parsed, its error handed on."""
        inner, texts = element(kind), self.scope.of("&str")
        if not texts or inner not in (*INTS, "f64"):
            return self.checked(kind)
        s, rng = self.rng.choice(texts).name, self.rng
        call = rng.choice((f"{s}.trim().parse::<{inner}>()", f"{s}.parse::<{inner}>()"))
        plain = kind.endswith("ParseIntError>")
        mapped = (
            ""
            if plain
            else rng.choice(
                (
                    ".map_err(|e| e.to_string())",
                    f'.map_err(|_| "{rng.choice(MESSAGES)}".to_string())',
                )
            )
        )
        name, k = rng.choice(("value", "number", "parsed")), self.expressions.literal(inner)
        bad = "Err(e)" if plain else "Err(e.to_string())"
        good = rng.choice((name, f"{name} {rng.choice('+*')} {k}", f"{name}.max({k})"))
        arms = [f"Ok({name}) => Ok({good}),", f"Err(e) => {bad},"]
        options = [
            [f"let {name} = {call}{mapped}?;", f"Ok({good})"],
            [f"match {call} {{", *indented(arms), "}"],
            [f"{call}.map(|x| x {rng.choice('+*')} {k}){mapped}"],
            [
                f"let part = {s}.{rng.choice(('trim()', 'trim_start()'))};",
                *self._part(inner, mapped),
            ],
        ]
        if inner in INTS:
            split = f"{s}.split('{rng.choice(', ;-')}')"
            body = [f"total += part.trim().parse::<{inner}>(){mapped}?;"]
            options.append(
                ["let mut total = 0;", f"for part in {split} {{", *indented(body), "}", "Ok(total)"]
            )
        return rng.choice(options)

    def _part(self, inner: str, mapped: str) -> Lines:
        if mapped or self.rng.random() < 0.5:
            return [f"let value = part.parse::<{inner}>(){mapped}?;", "Ok(value)"]
        return [f"part.parse::<{inner}>()"]
