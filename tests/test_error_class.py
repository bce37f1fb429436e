"""Classes of rustc's errors, on what rustc 1.95.0 (59807616e 2026-04-14) says."""

import pytest

from codebench.languages.error_class import ErrorClass, error_class

SYNTAX = [
    (None, "expected one of `.`, `;`, `?`, `else`, or an operator, found keyword `let`"),
    (None, "this file contains an unclosed delimiter"),
    (None, "mismatched closing delimiter: `}`"),
    (None, "unexpected closing delimiter: `}`"),
    (None, "character literal may only contain one codepoint"),
    (None, "Rust has no postfix increment operator"),
    (None, "struct literals are not allowed here"),
    (None, "comparison operators cannot be chained"),
    (None, "free function without a body"),
    (None, "functions are not allowed in struct definitions"),
    (None, "`self` parameter is only allowed in associated functions"),
    (None, "invalid width `9` for integer literal"),
    (None, "no rules expected `b`"),
    (None, "missing `in` in `for` loop"),
    (None, "`<` is interpreted as a start of generic arguments for `usize`, not a comparison"),
    ("E0765", "unterminated double quote string"),
    ("E0586", "inclusive range with no end"),
    ("E0728", "`await` is only allowed inside `async` functions and blocks"),
]
RESOLVE = [
    (None, "cannot find macro `foo` in this scope"),
    (None, "cannot find derive macro `Foo` in this scope"),
    (None, "cannot find attribute `foo` in this scope"),
    ("E0425", "cannot find value `x` in this scope"),
    ("E0412", "cannot find type `S` in this scope"),
    ("E0432", "unresolved import `foo`"),
    ("E0433", "failed to resolve: use of undeclared type `HashMap`"),
    ("E0428", "the name `f` is defined multiple times"),
    ("E0603", "function `f` is private"),
    ("E0616", "field `x` of struct `P` is private"),
    ("E0261", "use of undeclared lifetime name `'a`"),
    ("E0583", "file not found for module `m`"),
]
TYPE = [
    (None, "implementation of `Foo` is not general enough"),
    ("E0308", "mismatched types"),
    ("E0277", "the trait bound `T: Copy` is not satisfied"),
    ("E0599", "no method named `x` found for struct `S` in the current scope"),
    ("E0004", "non-exhaustive patterns: `None` not covered"),
    ("E0282", "type annotations needed"),
    ("E0369", "binary operation `+` cannot be applied to type `T`"),
    ("E0046", "not all trait items implemented, missing: `fmt`"),
    ("E0106", "missing lifetime specifier"),
    ("E0061", "this function takes 1 argument but 2 arguments were supplied"),
    ("E0133", "call to unsafe function `f` is unsafe and requires unsafe function or block"),
]
BORROW = [
    (None, "lifetime may not live long enough"),
    (None, "captured variable cannot escape `FnMut` closure body"),
    ("E0382", "use of moved value: `x`"),
    ("E0499", "cannot borrow `x` as mutable more than once at a time"),
    ("E0502", "cannot borrow `x` as mutable because it is also borrowed as immutable"),
    ("E0505", "cannot move out of `x` because it is borrowed"),
    ("E0506", "cannot assign to `x` because it is borrowed"),
    ("E0507", "cannot move out of `*x` which is behind a shared reference"),
    ("E0515", "cannot return reference to local variable `x`"),
    ("E0597", "`x` does not live long enough"),
    ("E0716", "temporary value dropped while borrowed"),
    ("E0373", "closure may outlive the current function, but it borrows `x`"),
    ("E0384", "cannot assign twice to immutable variable `x`"),
    ("E0381", "used binding `x` isn't initialized"),
]
OTHER = [
    (None, "linking with `gcc` failed: exit status: 1"),
    (None, "linker `gcc` not found"),
    (None, "couldn't read `/dev/stdin`: No such file or directory (os error 2)"),
    (None, "cannot resolve relative path in non-file source `<anon>`"),
    (None, "environment variable `NOPE` not defined at compile time"),
    (None, "1 positional argument in format string, but no arguments were given"),
    (None, "2 positional arguments in format string, but there is 1 argument"),
    (None, "argument never used"),
    (None, "invalid format string: expected `}` but string was terminated"),
    (None, "recursion limit reached while expanding `m!`"),
    (None, "error: internal compiler error: aborting due to `-Z treat-err-as-bug=1`"),
    (None, "memory allocation of 67108864 bytes failed"),
    ("overflowing_literals", "literal out of range for `u8`"),
    ("unconditional_panic", "this operation will panic at runtime"),
    ("E0080", "attempt to compute `u8::MAX + 1_u8`, which would overflow"),
    ("E0554", "`#![feature]` may not be used on the stable release channel"),
    ("E0658", "use of unstable library feature `x`"),
    ("E9999", "expected nothing of the kind"),
]
CASES = {
    ErrorClass.SYNTAX: SYNTAX,
    ErrorClass.RESOLVE: RESOLVE,
    ErrorClass.TYPE: TYPE,
    ErrorClass.BORROW: BORROW,
    ErrorClass.OTHER: OTHER,
}


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        pytest.param(code, message, kind, id=f"{kind}-{code or message}")
        for kind, cases in CASES.items()
        for code, message in cases
    ],
)
def test_errors_have_their_class(code: str | None, message: str, kind: ErrorClass) -> None:
    """Each error is in one class, and in none of the others: four negatives for a positive."""
    assert error_class(code, message) is kind


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("E0080", "cannot find value `x` in this scope"),
        ("E0554", "lifetime may not live long enough"),
        ("unconditional_panic", "expected item, found keyword `let`"),
        ("e0308", "mismatched types"),
        ("E308", "mismatched types"),
    ],
)
def test_a_code_decides_before_the_words(code: str, message: str) -> None:
    """Words that begin like those of a class prove nothing beside a code that is in no class."""
    assert error_class(code, message) is ErrorClass.OTHER


@pytest.mark.parametrize(
    "message",
    [
        "expected `cannot find ` here",
        "the lifetime may not live long enough",
        "found 1 positional argument in format string",
        "an environment variable",
        "x linking with `gcc` failed",
    ],
)
def test_words_count_only_at_the_beginning(message: str) -> None:
    """What merely holds the words of another class is what errors without a code mostly are."""
    assert error_class(None, message) is ErrorClass.SYNTAX


def test_no_code_is_in_two_classes() -> None:
    """Each code of the table is of rustc's form and stands in it once."""
    from codebench.languages import error_class as module

    codes = [code for text in module._CODES.values() for code in text.split()]
    assert len(codes) == len(set(codes))
    assert all(len(code) == 4 and code.isdigit() for code in codes)
