"""The shape of a program: the kinds of its syntax nodes, without names, values and comments.

Only the worker process imports this module. Two programs that differ in names, numbers and layout
have the same shape; a shape is a text, so that texts can be compared with what compares texts.
"""

from tree_sitter import Node

MAX_NODES = 2048
"""Nodes of a shape; what stands behind them is not looked at."""

_FIRST = 0x100
"""Code point of the kind 0: behind ASCII, so that a shape is never taken for code."""

_ERROR_ID = 0xFFFF
_ERROR = "!"


def shape(root: Node, *, written_from: int = 0) -> str:
    """Return one character a node: its kind, in pre-order, of the first `MAX_NODES` nodes.

    Named nodes count, comments do not; a node that the parser could not build is `!`. The numbers
    of the kinds belong to one version of the grammar.

    Args:
        root: The tree of the whole program.
        written_from: Byte at which the model began to write; nodes that start before it are left
            out. In pre-order they are the first ones.
    """
    kinds: list[str] = []
    cursor = root.walk()
    while len(kinds) < MAX_NODES:
        node = cursor.node
        assert node is not None, "a cursor always stands on a node"
        if node.is_named and not node.is_extra and node.start_byte >= written_from:
            kinds.append(_ERROR if node.kind_id == _ERROR_ID else chr(_FIRST + node.kind_id))
        if node.end_byte > written_from and not node.is_extra and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return "".join(kinds)
    return "".join(kinds)
