"""Loops that build a value: accumulators, searches, texts and vectors."""

from program_generator.rust_expressions import Expressions, Lines, indented
from program_generator.scope import INTS, Scope, element, family


class Loops:
    """Draws statements around one loop, ended by the value that it built."""

    def __init__(self, expressions: Expressions) -> None:
        self.expressions = expressions
        self.rng = expressions.rng
        self.scope: Scope = expressions.scope

    def _header(self) -> str:
        """The head of a `for` loop over something in scope; its variable enters the scope."""
        heads: list[tuple[str, str, str]] = []
        for v in self.scope.all():
            if family(v.kind) == "Vec" and element(v.kind) in (*INTS, "f64"):
                heads += [("&", f"{v.name}.iter()", element(v.kind))]
                if v.kind.startswith("&["):
                    heads += [("&", v.name, element(v.kind))] * 2
            elif family(v.kind) == "Vec" and element(v.kind) == "String":
                heads += [("", f"{v.name}.iter()", "&str")]
            elif v.kind in ("&str", "String"):
                heads += [("", f"{v.name}.chars()", "char")] * 2
                heads += [("", f"{v.name}.split_whitespace()", "&str")]
            elif v.kind in INTS and "." not in v.name:
                heads += [("", f"{self.rng.choice(('0..', '1..', '1..='))}{v.name}", v.kind)]
        prefix, source, kind = self.rng.choice(heads or [("", "0..10", "i32")])
        name = "i" if ".." in source else self.scope.fresh_element(kind)
        taken = any(v.name == name for v in self.scope.all())
        name = "j" if taken else name
        self.scope.add(name, kind)
        return f"for {prefix}{name} in {source} {{"

    def accumulated(self, kind: str) -> Lines:
        """An accumulator, a loop that changes it, and the accumulator as value."""
        name = self.scope.fresh_local(kind)
        start = "0.0" if kind == "f64" else self.rng.choice(("0", "0", "0", "1"))
        if self.rng.random() < 0.15 and kind in INTS:
            return self._countdown(kind, name)
        with self.scope.nested():
            head = self._header()
            update = [f"{name} += {self._addend(kind)};"]
            if self.rng.random() < 0.5:
                test = self._element_condition()
                update = [f"if {test} {{", *indented(update), "}"]
        lines = [f"let mut {name}: {kind} = {start};", head, *indented(update), "}"]
        return [
            *lines,
            name if self.rng.random() < 0.8 else f"{name} + {self.expressions.atom(kind)}",
        ]

    def _addend(self, kind: str) -> str:
        last = self.scope.all()[-1]
        if last.kind == kind:
            return self.rng.choice((last.name, f"{last.name} * {self.expressions.atom(kind)}"))
        return "1.0" if kind == "f64" else self.rng.choice(("1", "1", "2"))

    def _element_condition(self) -> str:
        """A condition on the variable that entered the scope last."""
        last = self.scope.all()[-1]
        inner = Scope(self.rng)
        inner.add(last.name, last.kind)
        return Expressions(self.rng, inner).condition(0)

    def _countdown(self, kind: str, name: str) -> Lines:
        limit = self.expressions.atom(kind)
        lines = [f"let mut {name}: {kind} = {self.rng.choice((1, 2))};"]
        step = self.rng.choice((f"{name} *= {self.rng.choice((2, 3))};", f"{name} += 1;"))
        return [*lines, f"while {name} < {limit} {{", f"    {step}", "}", name]

    def searched(self, kind: str) -> Lines:
        """A loop that returns as soon as an element fits."""
        with self.scope.nested():
            head = self._header()
            test, last = self._element_condition(), self.scope.all()[-1]
            if kind == "bool":
                found, missed = self.rng.choice((("true", "false"), ("false", "true")))
            else:
                wanted = element(kind)
                value = last.name if last.kind == wanted else self.expressions.of(wanted, 0)
                found, missed = f"Some({value})", "None"
        body = [f"if {test} {{", f"    return {found};", "}"]
        return [head, *indented(body), "}", missed]

    def text(self, kind: str) -> Lines:
        """A string that is built up in a loop."""
        name = self.scope.fresh_local(kind)
        with self.scope.nested():
            head = self._header()
            last = self.scope.all()[-1]
            shown = {"char": f"push({last.name})", "&str": f"push_str({last.name})"}
            call = shown.get(last.kind, f"push_str(&{last.name}.to_string())")
            body = [f"{name}.{call};"]
            extra = self.rng.random()
            if extra < 0.4:
                body = [f"if {self._element_condition()} {{", *indented(body), "}"]
            elif extra < 0.6:
                mark = self.rng.choice(" ,-")
                body.append(f"{name}.push('{mark}');")
        return [f"let mut {name} = String::new();", head, *indented(body), "}", name]

    def pushes(self, kind: str) -> Lines:
        """A vector that is filled in a loop."""
        name, inner = self.scope.fresh_local(kind), element(kind)
        with self.scope.nested():
            head = self._header()
            last = self.scope.all()[-1]
            value = last.name if last.kind == inner else self.expressions.of(inner, 0)
            if inner == "String":
                value = f"{last.name}.to_string()"
            elif last.kind == inner and inner != "char" and self.rng.random() < 0.4:
                value = f"{last.name} {self.rng.choice('+*')} {self.expressions.atom(inner)}"
            body = [f"{name}.push({value});"]
            if self.rng.random() < 0.6:
                body = [f"if {self._element_condition()} {{", *indented(body), "}"]
        return [f"let mut {name} = Vec::new();", head, *indented(body), "}", name]

    def sorted(self, kind: str) -> Lines:
        """A copy that is sorted, joined or shortened in place."""
        sources = self.scope.sequences(element(kind))
        if not sources or element(kind) not in INTS:
            return self.pushes(kind)
        name, first = self.scope.fresh_local(kind), self.rng.choice(sources)
        lines = [f"let mut {name} = {first.name}.to_vec();"]
        if len(sources) > 1:
            lines.append(f"{name}.extend({sources[-1].name}.iter().skip(1).copied());")
        calls = ("sort();", "reverse();", "dedup();", f"truncate({self.rng.choice((2, 3, 5))});")
        lines += [f"{name}.{call}" for call in self.rng.sample(calls, self.rng.choice((1, 2)))]
        return [*lines, name]
