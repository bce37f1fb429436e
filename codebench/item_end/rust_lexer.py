"""Rust, character by character: where does its first item end?"""

from collections.abc import Callable

_RAW_PREFIXES = frozenset({"r", "br", "cr"})
_MODIFIERS = frozenset({"pub", "crate", "default", "unsafe", "async", "extern", "safe"})
_SEMICOLON_ITEMS = frozenset({"const", "static", "type", "use"})
_LONGEST_WORD = 64
"""A longer word is none that matters; its rest is not kept."""

_OPEN, _CLOSE = frozenset("(["), frozenset(")]")


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


class RustLexer:
    """Brace depth outside strings and comments; `()` and `[]` only for the `;` of depth 0.

    An item ends with the `}` that closes its outermost brace, or with a `;` outside all brackets;
    an item that begins with `const`, `static`, `type` or `use` ends with its `;` only.
    """

    def __init__(self) -> None:
        self.end: int | None = None
        self.in_prefix = False
        self._state: Callable[[str, int], None] = self._code
        self._word = ""  # identifier or keyword being read; begins with ' for a lifetime
        self._keyword = ""  # the word that says what the item is
        self._n_words = 0  # of the item so far, outside brackets, modifiers not counted
        self._braces = 0
        self._brackets = 0  # of () and [] at brace depth 0
        self._hashes = 0
        self._closing = 0
        self._comments = 0
        self._previous = ""  # the character before, in a block comment; after a quote

    def step(self, char: str, offset: int) -> None:
        """Look at the character at `offset`."""
        self._state(char, offset)

    def _code(self, char: str, offset: int) -> None:
        if _is_word(char):
            self._word = (self._word + char)[:_LONGEST_WORD]
            return
        word, self._word = self._word, ""
        if word and not self._braces and not self._brackets:
            self._item_word(word)
        if char == '"':
            self._hashes = 0
            self._state = self._raw_string if word in _RAW_PREFIXES else self._string
        elif char == "#" and word in _RAW_PREFIXES:
            self._hashes = 1
            self._state = self._raw_hashes
        elif char == "'":
            if not word.startswith("'"):  # else the end of 'ab', which rustc reads as one literal
                self._state = self._quote
        elif char == "/":
            self._state = self._slash
        else:
            self._punctuation(char, offset)

    def _item_word(self, word: str) -> None:
        if word in _MODIFIERS:
            return
        if not self._n_words or (self._n_words == 1 and word == "fn"):  # the latter: `const fn`
            self._keyword = word
        self._n_words += 1

    def _punctuation(self, char: str, offset: int) -> None:
        if char == "{":
            self._braces += 1
        elif char == "}":
            if self._braces:
                self._braces -= 1
                if not self._braces and self._keyword not in _SEMICOLON_ITEMS:
                    self._ended(offset)
        elif not self._braces:
            self._outside_braces(char, offset)

    def _outside_braces(self, char: str, offset: int) -> None:
        if char in _OPEN:
            self._brackets += 1
        elif char in _CLOSE:
            self._brackets = max(0, self._brackets - 1)
        elif char == ";" and not self._brackets:
            self._ended(offset)

    def _ended(self, offset: int) -> None:
        self._keyword = ""
        self._n_words = self._brackets = 0
        if not self.in_prefix:
            self.end = max(0, offset + 1)

    def _slash(self, char: str, offset: int) -> None:
        if char == "/":
            self._state = self._line_comment
        elif char == "*":
            self._comments, self._previous = 1, ""
            self._state = self._block_comment
        else:
            self._state = self._code
            self._code(char, offset)

    def _line_comment(self, char: str, _offset: int) -> None:
        if char == "\n":
            self._state = self._code

    def _block_comment(self, char: str, _offset: int) -> None:
        pair = self._previous + char
        self._previous = char
        if pair == "/*":
            self._comments += 1
            self._previous = ""
        elif pair == "*/":
            self._comments -= 1
            self._previous = ""
            if not self._comments:
                self._state = self._code

    def _string(self, char: str, _offset: int) -> None:
        if char == '"':
            self._state = self._code
        elif char == "\\":
            self._state = self._string_escape

    def _string_escape(self, _char: str, _offset: int) -> None:
        self._state = self._string

    def _raw_hashes(self, char: str, offset: int) -> None:
        if char == "#":
            self._hashes += 1
        elif char == '"':
            self._state = self._raw_string
        else:  # a raw identifier, r#fn: never a keyword
            self._word = "r#"
            self._state = self._code
            self._code(char, offset)

    def _raw_string(self, char: str, _offset: int) -> None:
        if char == '"':
            self._closing = 0
            self._state = self._raw_closing if self._hashes else self._code

    def _raw_closing(self, char: str, offset: int) -> None:
        if char != "#":
            self._state = self._raw_string
            self._raw_string(char, offset)
            return
        self._closing += 1
        if self._closing == self._hashes:
            self._state = self._code

    def _quote(self, char: str, _offset: int) -> None:
        """After a `'`: an escape, the only character of a literal, or a lifetime's first letter."""
        self._previous = char
        if char == "\\":
            self._state = self._char_escape
        elif char in "'\n":
            self._state = self._code
        else:
            self._state = self._quoted

    def _quoted(self, char: str, offset: int) -> None:
        """One character after the quote is known: `'x'` is a literal, anything else is none."""
        self._state = self._code
        if char == "'":
            return
        if _is_word(self._previous):
            self._word = "'" + self._previous
        else:
            self._code(self._previous, offset - 1)
        if self.end is None:
            self._state(char, offset)

    def _char_escape(self, _char: str, _offset: int) -> None:
        self._state = self._char_rest

    def _char_rest(self, char: str, _offset: int) -> None:
        if char in "'\n":
            self._state = self._code
