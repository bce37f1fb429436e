"""Can a task leave anything behind in the process that runs it? In doubt it can.

A task that only defines names, calls functions of pure modules and asserts runs where the next one
will; any other gets a process of its own. A process costs more than most tests (5 ms to 1).
"""

from __future__ import annotations

import ast
import functools

_PURE = frozenset(
    (
        "__future__", "abc", "bisect", "collections", "copy", "dataclasses", "datetime", "enum",
        "fractions", "functools", "heapq", "itertools", "math", "numbers", "operator", "re",
        "statistics", "string", "textwrap", "typing",
    )
)  # fmt: skip
"""Modules without a state of their own that a program could change by calling what they offer."""

_TELLING = frozenset(
    (
        "__builtins__", "__import__", "breakpoint", "delattr", "eval", "exec", "exit", "globals",
        "input", "open", "print", "quit", "setattr", "vars",
    )
)  # fmt: skip
_CHANGING = frozenset(("cache_clear", "purge", "register", "update_abstractmethods"))
_NODES = (ast.Global, ast.Nonlocal, ast.AsyncFunctionDef, ast.AsyncWith, ast.AsyncFor)


@functools.lru_cache(maxsize=512)
def is_self_contained(source: str) -> bool:
    """Whether statements can be seen to change nothing but their own names."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_harmless(node) for node in ast.walk(tree))


def _is_harmless(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return all(alias.name.partition(".")[0] in _PURE for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return not node.level and str(node.module).partition(".")[0] in _PURE
    if isinstance(node, ast.Attribute):
        stores = not isinstance(node.ctx, ast.Load) and not _is_self(node.value)
        return not stores and node.attr not in _CHANGING and not node.attr.startswith("__")
    if isinstance(node, ast.Name):
        return node.id not in _TELLING
    return not isinstance(node, _NODES)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}
