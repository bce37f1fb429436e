"""Iterator chains: a source, adapters with closures over typed elements, and a consumer."""

from program_generator.rust_expressions import Expressions
from program_generator.scope import INTS, Variable, element, family


class Chains:
    """Draws iterator chains that end in a wanted type."""

    def __init__(self, expressions: Expressions) -> None:
        self.expressions = expressions
        self.rng = expressions.rng
        self.scope = expressions.scope

    def of(self, kind: str) -> str | None:
        """A chain of type `kind`, or None when nothing in scope can feed one."""
        sources = self._sources()
        if not sources:
            return None
        source, item = self.rng.choice(sources)
        text, item = self._adapted(source, item)
        consumers = self._consumers(text, item, kind)
        return self.rng.choice(consumers) if consumers else None

    def _sources(self) -> list[tuple[str, str]]:
        sources: list[tuple[str, str]] = []
        for v in self.scope.all():
            if family(v.kind) == "Vec" and element(v.kind) in (*INTS, "f64"):
                sources += [(f"{v.name}.iter().copied()", element(v.kind))] * 2
            elif family(v.kind) == "Vec" and element(v.kind) == "String":
                sources.append((f"{v.name}.iter()", "&str"))
            elif v.kind in ("&str", "String"):
                sources += [(f"{v.name}.chars()", "char")] * 2
                sources.append((self._words(v), "&str"))
            elif v.kind in INTS and "." not in v.name:
                start = self.rng.choice(("0..", "1..", "1..=", "0..="))
                sources.append((f"({start}{v.name})", v.kind))
        return sources

    def _words(self, variable: Variable) -> str:
        call = self.rng.choice(("split_whitespace()", "split(',')", "lines()"))
        return f"{variable.name}.{call}"

    def _adapted(self, text: str, item: str) -> tuple[str, str]:
        """Zero to two adapters after a source."""
        for _ in range(self.rng.choice((0, 1, 1, 1, 2))):
            step = self.rng.choice(("filter", "filter", "map", "take"))
            if step == "filter":
                text += f".filter({self._closure(item, 'bool', borrowed=True)})"
            elif step == "map" and item in (*INTS, "f64"):
                text += f".map({self._closure(item, item)})"
            elif step == "map" and item == "&str":
                text, item = f"{text}.map({self._length()})", "usize"
            elif step == "take":
                text += f".{self.rng.choice(('take', 'skip'))}({self.rng.choice((1, 2, 3, 5))})"
        return text, item

    def _length(self) -> str:
        name = self.scope.fresh_element("&str")
        return f"|{name}| {name}.len()"

    def _closure(self, item: str, kind: str, *, borrowed: bool = False) -> str:
        """A closure from the element to `kind`; `borrowed`: it is given a reference."""
        name = self.scope.fresh_element(item)
        pattern = f"&{name}" if borrowed and item != "&str" else name
        return f"|{pattern}| {self._element_expression(name, item, kind)}"

    def _element_expression(self, name: str, item: str, kind: str) -> str:
        rng, literal = self.rng, self.expressions.literal
        if kind == "bool":
            if item == "char":
                test = rng.choice(("alphabetic", "numeric", "uppercase", "lowercase", "whitespace"))
                return rng.choice((f"{name}.is_{test}()", f"{name} != {literal('char')}"))
            if item == "&str":
                return rng.choice(
                    (f"!{name}.is_empty()", f"{name}.len() > {rng.choice((1, 2, 3))}")
                )
            if item in INTS and rng.random() < 0.3:
                return f"{name} % {rng.choice((3, 4, 5, 7, 10))} == {rng.choice((0, 1))}"
            others = [v.name for v in self.scope.of(item)]
            right = rng.choice(others) if others and rng.random() < 0.5 else literal(item)
            return f"{name} {rng.choice(('>', '<', '!='))} {right}"
        others = [v.name for v in self.scope.of(kind)]
        right = rng.choice(others) if others and rng.random() < 0.5 else literal(kind)
        return f"{name} {rng.choice('+*')} {right}"

    def _consumers(self, text: str, item: str, kind: str) -> list[str]:
        """Every end of the chain `text` over `item` that has the type `kind`."""
        if kind in (*INTS, "f64"):
            return self._to_number(text, item, kind)
        if kind == "bool":
            call = self.rng.choice(("any", "all"))
            return [f"{text}.{call}({self._closure(item, 'bool')})"]
        if kind == "String":
            return self._to_text(text, item)
        if kind.startswith("Option<"):
            return self._to_option(text, item, kind)
        return self._to_vector(text, item, kind)

    def _to_number(self, text: str, item: str, kind: str) -> list[str]:
        choices: list[str] = []
        if kind == "usize":
            choices.append(f"{text}.count()")
        elif kind in INTS and item in ("char", "&str"):
            choices.append(f"{text}.count() as {kind}")
        if kind == item:
            start = self.expressions.literal(kind)
            choices += [f"{text}.sum()", f"{text}.fold({start}, |acc, e| acc + e)"]
            if kind in INTS:
                least = self.expressions.literal(kind)
                choices += [f"{text}.max().unwrap_or(0)", f"{text}.min().unwrap_or({least})"]
        return choices

    def _to_text(self, text: str, item: str) -> list[str]:
        if item == "char":
            short = f"{text}.collect()" if "filter" in text else f"{text}.take(4).collect()"
            return [short, f"{text}.map(|ch| ch.to_ascii_uppercase()).collect()"]
        if item == "&str" and ".split" in text:
            return [f'{text}.collect::<Vec<_>>().join("{self.rng.choice("-_ /")}")']
        return []

    def _to_option(self, text: str, item: str, kind: str) -> list[str]:
        choices: list[str] = []
        if kind == f"Option<{item}>" and item != "&str":
            choices.append(f"{text}.find({self._closure(item, 'bool', borrowed=True)})")
            if item in INTS and "(|" in text:
                choices.append(f"{text}.{self.rng.choice(('max', 'min', 'last'))}()")
        if kind == "Option<usize>":
            choices.append(f"{text}.position({self._closure(item, 'bool')})")
        return choices

    def _to_vector(self, text: str, item: str, kind: str) -> list[str]:
        choices: list[str] = []
        if kind == f"Vec<{item}>" and item != "&str":
            choices.append(f"{text}.collect()" if "(|" in text else f"{text}.skip(1).collect()")
        if kind == "Vec<String>" and item in (*INTS, "char", "&str"):
            name = self.scope.fresh_element(item)
            choices.append(f"{text}.map(|{name}| {name}.to_string()).collect()")
        return choices
