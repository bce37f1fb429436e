"""Test blocks to code whose assert statements say what was compared, and count.

`assert LEFT == RIGHT, MESSAGE` becomes what it was, with both sides kept for the report:

    if not ((@left := LEFT) == (@right := RIGHT)):
        @checks.fail(site, @left, @right, MESSAGE)
    @checks.hold(site)
"""

from __future__ import annotations

import ast
import functools
import types
from typing import Any, NamedTuple

TESTS_FILE = "<tests {}>"
_SYMBOLS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_LEFT, _RIGHT, CHECKS = "@left", "@right", "@checks"
_TESTED = "candidate"
"""The parameter of HumanEval's `check`."""


class Compared(NamedTuple):
    """What one assert statement, or one part of its `and`, looks at; described when it fails."""

    statement: ast.Assert
    test: ast.expr
    source: str
    names: frozenset[str]

    def text(self) -> str:
        """Return the source of the statement."""
        return ast.get_source_segment(self.source, self.statement) or "assert"

    def symbol(self) -> str:
        """Return how the sides are compared; `true` or `false` for a truth value."""
        if isinstance(self.test, ast.Compare) and len(self.test.ops) == 1:
            return _SYMBOLS[type(self.test.ops[0])]
        negated = isinstance(self.test, ast.UnaryOp) and isinstance(self.test.op, ast.Not)
        return "false" if negated else "true"

    def swapped(self) -> bool:
        """Return whether the program's answer stands on the right."""
        if not isinstance(self.test, ast.Compare):
            return False
        return self._tests(self.test.comparators[0]) and not self._tests(self.test.left)

    def _tests(self, node: ast.expr) -> bool:
        return any(isinstance(at, ast.Name) and at.id in self.names for at in ast.walk(node))


class Block(NamedTuple):
    """One test block, ready to run."""

    code: types.CodeType
    source: str
    compared: list[Compared]
    n_asserts: int


@functools.lru_cache(maxsize=512)
def rewrite(source: str, number: int, names: frozenset[str]) -> Block:
    """Compile one test block; the same one is compiled once a process, and for what it forks.

    Args:
        source: statements.
        number: which block it is, for its file name.
        names: names of what is tested.

    Raises:
        SyntaxError: if it is no Python.
    """
    file = TESTS_FILE.format(number)
    tree = ast.parse(source, file)
    rewriter = _Rewriter(source, names | {_TESTED})
    rewriter.rewrite_all(tree.body)
    code = compile(tree, file, "exec", dont_inherit=True)
    return Block(code, source, rewriter.compared, rewriter.n_asserts)


class _Rewriter:
    """Goes through statements only: nothing else holds an assert statement."""

    def __init__(self, source: str, names: frozenset[str]) -> None:
        self.compared: list[Compared] = []
        self.n_asserts = 0
        self._source, self._names = source, names

    def rewrite_all(self, statements: list[ast.stmt]) -> None:
        """Replace the assert statements in a list of statements, and in those within them."""
        if any(isinstance(statement, ast.Assert) for statement in statements):
            statements[:] = [new for old in statements for new in self._replaced(old)]
        for statement in statements:
            for field in ("body", "orelse", "finalbody"):
                inner = getattr(statement, field, None)
                if type(inner) is list:
                    self.rewrite_all(inner)
            for branch in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
                self.rewrite_all(branch.body)

    def _replaced(self, node: ast.stmt) -> list[ast.stmt]:
        if not isinstance(node, ast.Assert):
            return [node]
        make = _Maker(node)
        parts = [node.test]
        if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And):
            parts = node.test.values
        made: list[ast.stmt] = []
        for part in parts:
            made.append(make.failing(len(self.compared), part))
            self.compared.append(Compared(node, part, self._source, self._names))
        made.append(make.say("hold", [make.constant(self.n_asserts)]))
        self.n_asserts += 1
        return made


class _Maker:
    """Makes nodes in the place of an assert statement."""

    def __init__(self, node: ast.Assert) -> None:
        self._message = node.msg
        self._at: Any = {
            "lineno": node.lineno, "col_offset": node.col_offset, "end_lineno": node.end_lineno,
            "end_col_offset": node.end_col_offset,
        }  # fmt: skip

    def failing(self, number: int, test: ast.expr) -> ast.stmt:
        """Return `if not TEST: @checks.fail(...)`, with what is compared kept."""
        right: ast.expr = self.constant(None)
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            sides = self._keep(_LEFT, test.left), self._keep(_RIGHT, test.comparators[0])
            kept: ast.expr = ast.Compare(sides[0], test.ops, [sides[1]], **self._at)
            right = self._name(_RIGHT)
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            kept = ast.UnaryOp(test.op, self._keep(_LEFT, test.operand), **self._at)
        else:
            kept = self._keep(_LEFT, test)
        arguments = [self.constant(number), self._name(_LEFT), right]
        if self._message is not None:
            arguments.append(self._message)
        condition = ast.UnaryOp(ast.Not(), kept, **self._at)
        return ast.If(condition, [self.say("fail", arguments)], [], **self._at)

    def say(self, method: str, arguments: list[ast.expr]) -> ast.stmt:
        """Return a call of a method of `@checks`."""
        function = ast.Attribute(self._name(CHECKS), method, ast.Load(), **self._at)
        return ast.Expr(ast.Call(function, arguments, [], **self._at), **self._at)

    def constant(self, value: int | None) -> ast.expr:
        """Return a constant."""
        return ast.Constant(value, **self._at)

    def _name(self, name: str) -> ast.expr:
        return ast.Name(name, ast.Load(), **self._at)

    def _keep(self, name: str, value: ast.expr) -> ast.expr:
        return ast.NamedExpr(ast.Name(name, ast.Store(), **self._at), value, **self._at)
