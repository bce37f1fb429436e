"""Opens a Rust program for tests in another crate: private items become public, nothing else.

Items, fields, inherent methods and constants get `pub` (`pub(crate)` becomes `pub`), in modules
too, imports at the top level alone; macros get `#[macro_export]`. Line breaks stay where they are.
Not opened: what is declared inside functions or made by macros.

Only the worker process imports this module. Nothing here recurses in Python.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node

_ITEMS = frozenset(
    f"{word}_item"
    for word in ("function", "struct", "enum", "union", "trait", "const", "static", "type", "mod")
)
_MEMBERS = frozenset({"function_item", "const_item", "type_item"})


class Exposure(NamedTuple):
    """A program that another crate can use."""

    program: str
    names: tuple[str, ...]
    """What the program's head declares or imports at the top level; `*` for a glob import."""


class _Edit(NamedTuple):
    start: int
    end: int
    text: bytes


def expose(root: Node, source: bytes, *, head_bytes: int) -> Exposure:
    """Return the program of a syntax tree with its items public.

    Args:
        root: The tree of the whole program.
        source: The program in UTF-8.
        head_bytes: Length of the part that is the prompt's, whose names are returned.
    """
    edits: list[_Edit] = []
    names: list[str] = []
    exported: dict[str, _Edit] = {}
    homes = [root]
    while homes:
        home = homes.pop()
        for node in home.children:
            if home is root and node.start_byte < head_bytes:
                names += _names(node)
            if node.type == "macro_definition":  # of two with one name only one can be exported
                exported[_name(node)] = _Edit(node.start_byte, node.start_byte, _export(node))
            elif home is root or node.type != "use_declaration":
                edits += _open_declaration(node)
            if node.type == "mod_item" and (body := _body(node)):
                homes.append(body)
    opened = _apply(source, [*edits, *exported.values()])
    return Exposure(opened.decode("utf-8", "replace"), tuple(dict.fromkeys(names)))


def _apply(source: bytes, edits: list[_Edit]) -> bytes:
    pieces, end = [], 0
    for edit in sorted(edits):
        pieces += [source[end : edit.start], edit.text]
        end = edit.end
    return b"".join([*pieces, source[end:]])


def _open_declaration(node: Node) -> Iterator[_Edit]:
    if node.type == "use_declaration":
        yield from _open(node)
    elif node.type == "impl_item" and node.child_by_field_name("trait") is None:
        yield from _open_all(_body(node), _MEMBERS)
    elif node.type in _ITEMS and _name(node) != "_":
        yield from _open(node)
        if node.type in {"struct_item", "union_item"}:
            yield from _open_fields(_body(node))
    elif node.type == "inner_attribute_item" and b"crate_name" in (node.text or b""):
        yield _Edit(node.start_byte, node.end_byte, b"")


def _open_fields(body: Node | None) -> Iterator[_Edit]:
    if body is not None and body.type == "ordered_field_declaration_list":
        yield from _open_positions(body)
    else:
        yield from _open_all(body, frozenset({"field_declaration"}))


def _open_all(body: Node | None, kinds: frozenset[str]) -> Iterator[_Edit]:
    for node in body.children if body is not None else ():
        if node.type in kinds:
            yield from _open(node)


def _open(node: Node) -> Iterator[_Edit]:
    """Yield what makes one declaration public."""
    for child in node.children:
        if child.type == "visibility_modifier":
            yield _Edit(child.start_byte, child.end_byte, b"pub")
            return
    yield _Edit(node.start_byte, node.start_byte, b"pub ")


def _open_positions(body: Node) -> Iterator[_Edit]:
    """Yield what makes the fields of a tuple struct public; the grammar has no node for one."""
    for node in body.children_by_field_name("type"):
        before = node.prev_sibling
        while before is not None and before.type in {"line_comment", "block_comment"}:
            before = before.prev_sibling
        if before is not None and before.type == "visibility_modifier":
            yield _Edit(before.start_byte, before.end_byte, b"pub")
        else:
            yield _Edit(node.start_byte, node.start_byte, b"pub ")


def _export(node: Node) -> bytes:
    """Return what stands before a macro to export it: nothing if it is exported already."""
    before = node.prev_sibling
    while before is not None and before.type in {"attribute_item", "line_comment", "block_comment"}:
        if before.type == "attribute_item" and b"macro_export" in (before.text or b""):
            return b""
        before = before.prev_sibling
    return b"#[macro_export] "


def _names(node: Node) -> Iterator[str]:
    """Yield the names that a top-level declaration brings into scope."""
    if node.type in _ITEMS or node.type == "macro_definition":
        name = _name(node)
        if name not in {"_", ""}:
            yield name
    elif node.type == "use_declaration":
        argument = node.child_by_field_name("argument")
        yield from _imported(argument) if argument is not None else ()


def _imported(argument: Node) -> Iterator[str]:
    pending = [(argument, "")]
    while pending:
        node, parent = pending.pop()
        if node.type == "use_wildcard":
            yield "*"
        elif node.type == "use_as_clause":
            alias = _text(node.child_by_field_name("alias"))
            if alias not in {"_", ""}:
                yield alias
        elif node.type == "self":
            yield parent
        elif node.type in {"use_list", "scoped_use_list"}:
            path = node.child_by_field_name("path")
            items = node.child_by_field_name("list") or node
            inside = _last(path) if path is not None else parent
            pending += [(child, inside) for child in items.named_children if child != path]
        elif node.type in {"identifier", "scoped_identifier"}:
            yield _last(node)


def _last(path: Node) -> str:
    return _text(path.child_by_field_name("name") or path)


def _body(node: Node) -> Node | None:
    return node.child_by_field_name("body")


def _name(node: Node) -> str:
    return _text(node.child_by_field_name("name"))


def _text(node: Node | None) -> str:
    return ((node.text if node is not None else None) or b"").decode("utf-8", "replace")
