"""Functions, decision points and items of a program, counted on tree-sitter's nodes.

Broken code is counted too: where the parser could build no node, its ERROR node still holds the
keywords, so they are what is counted, by the node that holds them. Comments, strings and the
arguments of macros are opaque. Nothing here recurses in Python, however deep the tree is.

Only the worker process imports this module.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import tree_sitter_python
import tree_sitter_rust
from tree_sitter import Language, Node, Parser

from codebench.analysis.exposure import Exposure, expose
from codebench.analysis.items import python_items, rust_items
from codebench.analysis.shape import shape


class Counts(NamedTuple):
    """What the syntax tree of one program says."""

    functions: int
    """Rust: `fn` in modules, impls and traits (declarations too); not closures, not functions
    inside functions, not those of `extern` blocks. Python: `def` in modules and classes, methods
    included; not lambdas, not functions inside functions."""

    complexity: int
    """1 + decision points of the program.

    Rust: `if` (`if let` and match guards too), `while`, `for`, `match`, `&&`, `||`, `?`.
    Python: `if` (conditional expressions, comprehension conditions and case guards too), `elif`,
    `for` statements, `while`, `case`, `and`, `or`, `except`.
    """

    items: tuple[str, ...]
    """Top-level items in plain sight; see `codebench.analysis.items`."""

    parses: bool
    """No ERROR node and no MISSING one."""

    shape: str
    """Kinds of the nodes from `written_from` on; see `codebench.analysis.shape`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grammar:
    language: Language
    decisions: Mapping[str, frozenset[str]]
    """Token -> the nodes in which it is a decision (ERROR is understood)."""

    operators: frozenset[str]
    """Those tokens that in an ERROR count only after an operand."""

    functions: frozenset[str]
    function_word: str
    hides_functions: Callable[[str], bool]
    """Whether functions below a node of this kind are not counted."""

    opaque: frozenset[str]
    """Nodes that are not looked into."""

    items: Callable[[Node], Iterator[str]]


_RUST_HOMES = frozenset(
    {"source_file", "mod_item", "declaration_list", "impl_item", "trait_item", "ERROR"}
)

_RUST = _Grammar(
    language=Language(tree_sitter_rust.language()),
    decisions={
        "if": frozenset({"if_expression", "match_pattern"}),
        "while": frozenset({"while_expression"}),
        "for": frozenset({"for_expression"}),
        "match": frozenset({"match_expression"}),
        "&&": frozenset({"binary_expression", "let_chain"}),
        "||": frozenset({"binary_expression"}),
        "?": frozenset({"try_expression"}),
    },
    operators=frozenset({"&&", "||", "?"}),
    functions=frozenset({"function_item", "function_signature_item"}),
    function_word="fn",
    hides_functions=lambda kind: kind not in _RUST_HOMES,
    opaque=frozenset(
        {
            "token_tree",
            "macro_definition",
            "attribute_item",
            "inner_attribute_item",
            "line_comment",
            "block_comment",
            "string_literal",
            "raw_string_literal",
            "char_literal",
        }
    ),
    items=rust_items,
)

_PYTHON = _Grammar(
    language=Language(tree_sitter_python.language()),
    decisions={
        "if": frozenset({"if_statement", "conditional_expression", "if_clause"}),
        "elif": frozenset({"elif_clause"}),
        "for": frozenset({"for_statement"}),
        "while": frozenset({"while_statement"}),
        "case": frozenset({"case_clause"}),
        "and": frozenset({"boolean_operator"}),
        "or": frozenset({"boolean_operator"}),
        "except": frozenset({"except_clause", "except_group_clause"}),
    },
    operators=frozenset({"and", "or"}),
    functions=frozenset({"function_definition"}),
    function_word="def",
    hides_functions=lambda kind: kind == "function_definition",
    opaque=frozenset({"comment"}),  # strings are open: an f-string holds expressions
    items=python_items,
)

_GRAMMARS = {"rust": _RUST, "python": _PYTHON}


def measure_syntax(source: bytes, language: str, *, written_from: int = 0) -> Counts:
    """Parse `source` and count.

    Args:
        source: The program.
        language: "rust" or "python".
        written_from: Byte at which the model began to write; only the shape depends on it.
    """
    grammar = _GRAMMARS[language]
    root = Parser(grammar.language).parse(source).root_node
    functions, decisions = _count(root, grammar)
    return Counts(
        functions=functions,
        complexity=1 + decisions,
        items=tuple(grammar.items(root)),
        parses=not root.has_error,
        shape=shape(root, written_from=written_from),
    )


def expose_syntax(source: bytes, head_bytes: int) -> Exposure:
    """Parse a Rust program and open it for tests in another crate."""
    root = Parser(_RUST.language).parse(source).root_node
    return expose(root, source, head_bytes=head_bytes)


class _Level:
    """A node whose children are being looked at."""

    __slots__ = ("hidden", "in_impl_header", "kind", "previous")

    def __init__(self, kind: str, *, hidden: bool) -> None:
        self.kind = kind
        self.hidden = hidden
        self.previous: Node | None = None
        self.in_impl_header = False


def _count(root: Node, grammar: _Grammar) -> tuple[int, int]:
    """Return the numbers of functions and of decision points."""
    functions = decisions = 0
    cursor = root.walk()
    levels = [_Level("", hidden=False)]
    while True:
        node = cursor.node
        assert node is not None, "a cursor always stands on a node"
        kind, level = node.type, levels[-1]
        if not node.is_named:
            decisions += kind in grammar.decisions and _decides(kind, node, level, grammar)
        elif not level.hidden:
            functions += _is_function(kind, level, grammar)
        level.previous = node
        level.in_impl_header = kind == "impl" or (level.in_impl_header and kind != "{")
        if kind not in grammar.opaque and cursor.goto_first_child():
            levels.append(_Level(kind, hidden=level.hidden or grammar.hides_functions(kind)))
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return functions, decisions
            levels.pop()


def _is_function(kind: str, level: _Level, grammar: _Grammar) -> bool:
    """Whether a named node is a function, or the name after a lone `fn` in an ERROR."""
    if kind in grammar.functions:
        return True
    after = level.previous.type if level.previous is not None else ""
    return kind == "identifier" and level.kind == "ERROR" and after == grammar.function_word


def _decides(word: str, node: Node, level: _Level, grammar: _Grammar) -> bool:
    """Whether a keyword or operator is a decision point, by the node that holds it."""
    if level.kind != "ERROR":
        return level.kind in grammar.decisions[word]
    previous = level.previous
    if word in grammar.operators:
        return previous is not None and (previous.is_named or previous.type in {")", "]", "}"})
    if word != "for":
        return True
    if grammar is _RUST:
        bound = previous is not None and previous.type == "where"
        return not level.in_impl_header and not bound
    # A comprehension's `for` follows its element; a statement's stands first on its line.
    if previous is None or previous.type in {":", "async"}:
        return True
    return previous.end_point.row < node.start_point.row
