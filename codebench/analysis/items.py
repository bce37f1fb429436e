"""The top-level items that a program declares in plain sight, named as `Prompt.item` names them.

An item counts only where nothing can take it away: not below `#[cfg]`, `#[cfg_attr]`, `#[test]`
and their like, not in a file or with a body that begins with `#![cfg]`, not in the arguments of a
macro, and not inside a function. Items of nested modules are not top-level. In broken code the
names are those that the parser could recover.
"""

from collections.abc import Iterator

from tree_sitter import Node

_KINDS = {
    "function_item": "fn",
    "struct_item": "struct",
    "enum_item": "enum",
    "union_item": "union",
    "trait_item": "trait",
    "mod_item": "mod",
    "const_item": "const",
    "static_item": "static",
    "type_item": "type",
    "macro_definition": "macro_rules",
    "function_definition": "def",
    "class_definition": "class",
}
_HIDING = frozenset({"cfg", "cfg_attr", "test", "bench", "test_case"})
_COMMENTS = frozenset({"line_comment", "block_comment"})


def rust_items(root: Node) -> Iterator[str]:
    """Yield `fn f`, `struct S`, `impl S`, `impl Trait for S`, `macro_rules m` and so on."""
    nodes = _top_level(root)
    if any(node.type == "inner_attribute_item" and _hides(node) for node in nodes):
        return
    hidden = False
    for node in nodes:
        if node.type in _COMMENTS:
            continue
        if node.type == "attribute_item":
            hidden = hidden or _hides(node)
            continue
        name = None if hidden else _rust_name(node)
        if name is not None:
            yield name
        hidden = False


def python_items(root: Node) -> Iterator[str]:
    """Yield `def f` and `class C`, decorated and async ones too."""
    for node in _top_level(root):
        inner = node.child_by_field_name("definition")
        name = _named(inner or node)
        if name is not None:
            yield name


def _top_level(root: Node) -> list[Node]:
    """Return the children of the root, those of its ERROR nodes in their place."""
    nodes: list[Node] = []
    for node in root.children:
        nodes.extend(node.children if node.type == "ERROR" else [node])
    return nodes


def _hides(attribute_item: Node) -> bool:
    for attribute in attribute_item.named_children:
        if attribute.type == "attribute" and attribute.named_children:
            path = _text(attribute.named_children[0]).rpartition("::")[2].strip()
            return path.removeprefix("r#") in _HIDING
    return False


def _rust_name(node: Node) -> str | None:
    body = node.child_by_field_name("body")
    inner = body.named_children if body is not None else []
    if any(each.type == "inner_attribute_item" and _hides(each) for each in inner):
        return None
    if node.type != "impl_item":
        return _named(node)
    target, trait = node.child_by_field_name("type"), node.child_by_field_name("trait")
    if target is None:
        return None
    return f"impl {_type(trait)} for {_type(target)}" if trait else f"impl {_type(target)}"


def _named(node: Node) -> str | None:
    kind = _KINDS.get(node.type)
    name = node.child_by_field_name("name") if kind else None
    return f"{kind} {_text(name)}" if name else None


def _type(node: Node) -> str:
    """Return a type's name: generics stripped, the last segment of a path."""
    field = {"generic_type": "type", "scoped_type_identifier": "name"}.get(node.type)
    inner = node.child_by_field_name(field) if field else None
    if inner is None:
        return " ".join(_text(node).split())
    # Two steps at most: the grammar nests a path in a generic type, never deeper.
    return _type(inner)


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
