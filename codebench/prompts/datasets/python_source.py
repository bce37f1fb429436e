"""Values of JSON as Python source, also those that `repr` does not give back."""

import math


def source_of(value: object) -> str:
    """Return an expression for a value that JSON or an importer made.

    Whole numbers of more than 4,300 digits, which Python does not read in decimal, are written in
    base 16; infinities and nan as `float("inf")`.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, complex):
        return f"complex({source_of(value.real)}, {source_of(value.imag)})"
    if isinstance(value, int) and abs(value) >= 10**4_000:
        return hex(value)
    if isinstance(value, tuple):
        return f"({''.join(f'{source_of(part)}, ' for part in value)})".replace(", )", ",)")
    if isinstance(value, list):
        return f"[{', '.join(map(source_of, value))}]"
    if isinstance(value, set) and value:
        return f"{{{', '.join(sorted(map(source_of, value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{source_of(k)}: {source_of(v)}' for k, v in value.items())}}}"
    return repr(value)
