"""Foreign text made fit to be shown: what would be invisible, or would act, becomes visible.

Covers: control characters (NUL, escape), bidirectional overrides, zero-width and tag characters,
line separators, lone surrogates. Line breaks and tabs stay. Letters of any script are left alone.
"""

import re

_CONTROL = "\x00-\x08\x0b-\x1f"
_DELETE_AND_C1 = "\x7f-\x9f"
_FORMAT = "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_TAGS = "\U000e0000-\U000e007f"
_HIDDEN = re.compile(f"[{_CONTROL}{_DELETE_AND_C1}{_FORMAT}{_TAGS}]")
_FIRST_PICTURE = 0x2400


def visible(text: str) -> str:
    """Return the text with every character shown: `␛` for escape, `⟨U+202E⟩` for an override."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _HIDDEN.sub(_shown, text.replace("\r\n", "\n"))


def shortened(text: str, limit: int) -> str:
    """Return at most `limit` characters, and how many are missing where some are."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x7F:
        return "␡"
    return chr(_FIRST_PICTURE + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
