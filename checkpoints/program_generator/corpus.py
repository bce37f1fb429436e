"""Whole documents: one item, or an item with the context it needs, as the prompts have it."""

from collections.abc import Callable, Iterator
from random import Random

from program_generator.python_programs import python_document
from program_generator.rust_expressions import Lines
from program_generator.rust_functions import function
from program_generator.rust_items import Enum, Struct, inherent_impl
from program_generator.rust_special import (
    async_function,
    async_pair,
    const_function,
    generic_function,
    macro,
    module,
    shaped_function,
)
from program_generator.rust_traits import (
    Trait,
    default_impl,
    display_impl,
    enum_display,
    equality_impl,
    from_impl,
    operator_impl,
    to_string_impl,
    trait_with_impl,
)
from program_generator.words import LITERALS, NOUNS

DERIVES = ("#[derive(Debug, Clone)]", "#[derive(Debug)]")


def comment(rng: Random) -> str:
    """A doc comment in plain words."""
    noun, other, word = rng.choice(NOUNS), rng.choice(NOUNS), rng.choice(LITERALS)
    return rng.choice(
        (f"/// The {noun} of a {word}.", f"/// A {noun} with its {other}, as in `{word}`.",
         f"/// Holds the {noun}; `{other}` is in {noun}.", f"/// Reads the {noun} under `{word}`.")
    )  # fmt: skip


def joined(rng: Random, items: list[Lines]) -> str:
    """Items below each other; the first ones are the context of the last."""
    if rng.random() < 0.35 and len(items) > 1:
        items = [[comment(rng), *items[0]], *items[1:]]
    start = "\n" if len(items) > 1 and rng.random() < 0.3 else ""
    return start + rng.choice(("\n\n", "\n")).join("\n".join(lines) for lines in items)


def struct_with(
    rng: Random, make: Callable[[Struct], Lines], *, simple: bool = False
) -> list[Lines]:
    """A struct and one impl for it."""
    struct = Struct(rng, simple=simple)
    return [struct.declaration(), make(struct)]


def rust_document(rng: Random) -> str:
    """One Rust document."""
    makers: tuple[tuple[Callable[[], list[Lines]], int], ...] = (
        (lambda: [function(rng)], 46),
        (lambda: [Struct(rng).declaration()], 5),
        (lambda: [Enum(rng).declaration()], 4),
        (lambda: struct_with(rng, inherent_impl), 9),
        (lambda: struct_with(rng, to_string_impl), 6),
        (lambda: struct_with(rng, display_impl), 3),
        (lambda: struct_with(rng, default_impl), 1),
        (lambda: struct_with(rng, from_impl), 1),
        (lambda: struct_with(rng, equality_impl), 1),
        (lambda: struct_with(rng, operator_impl, simple=True), 2),
        (lambda: with_enum(rng), 4),
        (lambda: [Trait(rng).declaration()], 6),
        (lambda: trait_with_impl(rng), 3),
        (lambda: [async_function(rng)], 3),
        (lambda: async_pair(rng), 5),
        (lambda: [macro(rng)], 5),
        (lambda: [generic_function(rng)], 4),
        (lambda: [shaped_function(rng)], 6),
        (lambda: [const_function(rng)], 1),
        (lambda: [module(rng)], 1),
    )
    make = rng.choices([m for m, _ in makers], [w for _, w in makers])[0]
    items = make()
    if len(items) > 1 and items[0][0].startswith("struct") and rng.random() < 0.2:
        items[0] = [DERIVES[rng.random() < 0.5], *items[0]]
    return joined(rng, items)


def with_enum(rng: Random) -> list[Lines]:
    """An enum and an impl that matches its variants."""
    enum = Enum(rng)
    if rng.random() < 0.3:
        enum = Enum(rng, plain=True)
        return [enum.declaration(), enum_display(enum)]
    return [enum.declaration(), enum.implementation()]


def documents(*, seed: int, python_share: float = 0.15) -> Iterator[str]:
    """Endless training documents, the same for the same seed.

    Args:
        seed: Of the generator.
        python_share: Share of Python documents, 0-1; the others are Rust.
    """
    rng = Random(seed)
    while True:
        yield python_document(rng) if rng.random() < python_share else rust_document(rng)
