"""Classes of rustc's errors: syntax, resolve, type, borrow, other.

By the error's code, after its subject in rustc's error index (rustc 1.95, retired codes included);
a code that is not known here is `other`: lints that deny, constants that panic, attributes,
unstable features, crates. Nearly all errors without a code come from the parser, in words without
end, so they are `syntax` but for those whose beginning is known to be something else.
"""

import re
from enum import StrEnum
from types import MappingProxyType


class ErrorClass(StrEnum):
    """What an error of rustc is about."""

    SYNTAX = "syntax"
    """The text is no Rust: tokens, delimiters, the grammar."""

    RESOLVE = "resolve"
    """A name that is not there, not visible, not unique or of the wrong kind."""

    TYPE = "type"
    """Types, traits, patterns, generics, and what items must provide."""

    BORROW = "borrow"
    """Ownership, borrows, lifetimes, mutability, initialisation."""

    OTHER = "other"


_CODES = {
    ErrorClass.SYNTAX: (
        "0178 0449 0584 0585 0586 0642 0670 0696 0697 0703 0704 0727 0728 0742 0743 0748 0753 0754 "
        "0758 0762 0763 0765 0766 0768 0782 0783 0797"
    ),
    ErrorClass.RESOLVE: (
        "0252 0254 0255 0259 0260 0261 0262 0263 0364 0365 0401 0403 0404 0405 0407 0408 0409 0411 "
        "0412 0415 0416 0417 0422 0423 0424 0425 0426 0428 0429 0430 0431 0432 0433 0434 0435 0437 "
        "0438 0451 0463 0469 0530 0531 0532 0573 0574 0575 0576 0577 0578 0583 0603 0616 0624 0637 "
        "0659 0761 0767 0799 0800"
    ),
    ErrorClass.TYPE: (
        "0004 0005 0015 0023 0025 0026 0027 0029 0033 0034 0038 0040 0046 0049 0050 0053 0054 0055 "
        "0057 0059 0060 0061 0062 0063 0067 0069 0070 0071 0072 0081 0084 0091 0106 0107 0109 0116 "
        "0117 0118 0119 0120 0121 0124 0128 0131 0133 0158 0161 0164 0170 0183 0184 0185 0186 0191 "
        "0195 0197 0198 0199 0200 0201 0203 0204 0205 0206 0207 0210 0212 0214 0220 0221 0222 0223 "
        "0224 0225 0226 0227 0228 0229 0243 0244 0267 0268 0271 0275 0276 0277 0282 0283 0284 0307 "
        "0308 0317 0321 0322 0323 0324 0325 0326 0366 0367 0368 0369 0370 0371 0379 0390 0391 0392 "
        "0393 0436 0446 0512 0520 0525 0527 0528 0529 0533 0559 0560 0561 0562 0569 0571 0572 0579 "
        "0580 0581 0582 0591 0592 0593 0599 0600 0601 0604 0605 0606 0607 0608 0609 0610 0614 0615 "
        "0617 0618 0620 0631 0638 0639 0641 0643 0644 0646 0657 0665 0666 0689 0695 0719 0720 0730 "
        "0732 0733 0735 0740 0741 0746 0747 0752 0769 0770 0774 0784 0790 0801 0804"
    ),
    ErrorClass.BORROW: (
        "0309 0310 0311 0312 0313 0373 0381 0382 0383 0384 0387 0389 0476 0478 0482 0491 0492 0493 "
        "0495 0496 0499 0500 0501 0502 0503 0505 0506 0507 0508 0509 0510 0515 0521 0524 0594 0595 "
        "0596 0597 0621 0623 0626 0700 0712 0713 0716 0726 0745 0764 0793 0794"
    ),
}
_CLASS_OF = MappingProxyType(
    {f"E{code}": kind for kind, codes in _CODES.items() for code in codes.split()}
)
_BEGINNINGS = (
    ("cannot find ", ErrorClass.RESOLVE),
    ("cannot determine resolution ", ErrorClass.RESOLVE),
    ("lifetime may not live long enough", ErrorClass.BORROW),
    ("captured variable cannot escape ", ErrorClass.BORROW),
    ("implementation of `", ErrorClass.TYPE),
    ("cannot infer ", ErrorClass.TYPE),
    # rustc's own, the machine's, the linker's; formatting; `compile_error!` cannot be told
    ("error: ", ErrorClass.OTHER),
    ("memory allocation of ", ErrorClass.OTHER),
    ("failed to ", ErrorClass.OTHER),
    ("couldn't read ", ErrorClass.OTHER),
    ("cannot resolve relative path ", ErrorClass.OTHER),
    ("environment variable ", ErrorClass.OTHER),
    ("linking with ", ErrorClass.OTHER),
    ("linker ", ErrorClass.OTHER),
    ("recursion limit reached ", ErrorClass.OTHER),
    ("reached the recursion limit ", ErrorClass.OTHER),
    ("invalid format string", ErrorClass.OTHER),
    ("argument never used", ErrorClass.OTHER),
    ("named argument never used", ErrorClass.OTHER),
    ("multiple unused formatting arguments", ErrorClass.OTHER),
    ("format argument must be a string literal", ErrorClass.OTHER),
    ("invalid reference to positional argument", ErrorClass.OTHER),
)
_FORMATTING = re.compile(r"\d+ positional arguments? in format string")


def error_class(code: str | None, message: str) -> ErrorClass:
    """Return the class of an error of rustc by its code, and without one by its message."""
    if code is not None:
        return _CLASS_OF.get(code, ErrorClass.OTHER)
    for beginning, kind in _BEGINNINGS:
        if message.startswith(beginning):
            return kind
    return ErrorClass.OTHER if _FORMATTING.match(message) else ErrorClass.SYNTAX
