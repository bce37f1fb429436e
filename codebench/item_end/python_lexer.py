"""Python, character by character: where does its item end?"""

from collections.abc import Callable

_TAB = 8
_LONGEST_WORD = 1_000
"""Of a word no more is kept; an item's name is shorter."""

_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


class PythonLexer:
    """Indentation of logical lines, outside strings, brackets and backslash continuations.

    The item is the outermost `def` or `class` of the prefix (of the text, if the prefix has none);
    it ends before the first line of code whose indentation is not larger than the item's own.
    Blank lines and lines of comment decide nothing, and those before that line are left out.

    A text that begins with a line like `import math` or `def helper():` where the item's body
    should be begins anew: then its own item of that name is the one.
    """

    def __init__(self, name: str | None) -> None:
        self.end: int | None = None
        self.in_prefix = False
        self._name = name  # of the item; the prefix's own word wins
        self._has_body = False  # the text has code that belongs to the item
        self._state: Callable[[str, int], None] = self._indentation
        self._column = 0  # indentation of the line
        self._item_column: int | None = None
        self._code_end = 0  # just after the newline of the last line of code
        self._words: tuple[str, ...] = ()  # the first three of the logical line
        self._word = ""
        self._brackets = 0
        self._quote = ""
        self._quotes = 0
        self._after_cr = False  # a \n now belongs to the \r before it

    def step(self, char: str, offset: int) -> None:
        """Look at the character at `offset`."""
        if char == "\n" and self._after_cr:
            if self._code_end == offset:
                self._code_end += 1
            self._after_cr = False
            return
        self._after_cr = char == "\r"
        self._state(char, offset)

    def _indentation(self, char: str, offset: int) -> None:
        if char == " ":
            self._column += 1
        elif char == "\t":
            self._column = (self._column // _TAB + 1) * _TAB
        elif char in "\f\r\n":
            self._column = 0
        elif char == "#":
            self._state = self._comment_line
        elif not self._dedented():
            self._words, self._word = (), ""
            self._state = self._code
            self._code(char, offset)
        elif self._has_body or self._item_column:
            self.end = max(0, self._code_end)
        else:
            self._words, self._word = (), ""
            self._state = self._margin
            self._margin(char, offset)

    def _margin(self, char: str, offset: int) -> None:
        """In the first word of a text that stands where the item's body should begin."""
        if _is_word(char):
            if len(self._word) < _LONGEST_WORD:
                self._word += char
        elif self._word in _FIRST_WORDS or (not self._word and char == "@"):
            self._item_column = None
            self._state = self._code
            self._code(char, offset)
        else:
            self.end = max(0, self._code_end)

    def _dedented(self) -> bool:
        if self.in_prefix or self._item_column is None:
            return False
        return self._column <= self._item_column

    def _comment_line(self, char: str, _offset: int) -> None:
        if char in "\r\n":
            self._column = 0
            self._state = self._indentation

    def _code(self, char: str, offset: int) -> None:
        if not (self._has_body or self.in_prefix or char.isspace()):
            self._has_body = True
        if _is_word(char):
            if len(self._words) < 3 and len(self._word) < _LONGEST_WORD:
                self._word += char
            return
        self._first_words()
        if char in "\r\n":
            self._newline(offset)
        elif char in "\"'":
            self._quote, self._quotes = char, 1
            self._state = self._opening
        elif char == "#":
            self._state = self._comment
        elif char == "\\":
            self._state = self._backslash
        else:
            self._brackets = max(0, self._brackets + _DEPTH.get(char, 0))

    def _first_words(self) -> None:
        if not self._word:
            return
        self._words, self._word = (*self._words, self._word), ""
        *before, name = self._words
        if tuple(before) not in _ITEM_WORDS:
            return
        if self.in_prefix:
            if self._item_column is None or self._column <= self._item_column:
                self._item_column, self._name = self._column, name
        elif self._item_column is None and self._name in (None, name):
            self._item_column = self._column

    def _newline(self, offset: int) -> None:
        if self._brackets:
            self._state = self._code
            return
        self._code_end = offset + 1
        self._column = 0
        self._state = self._indentation

    def _comment(self, char: str, offset: int) -> None:
        if char in "\r\n":
            self._newline(offset)

    def _backslash(self, char: str, offset: int) -> None:
        self._state = self._code
        if char not in "\r\n":
            self._code(char, offset)

    def _opening(self, char: str, offset: int) -> None:
        """After one or two quotes: a third makes it triple."""
        if char == self._quote:
            self._quotes += 1
            if self._quotes == 3:
                self._quotes = 0
                self._state = self._triple
        elif self._quotes == 2:
            self._state = self._code
            self._code(char, offset)
        else:
            self._state = self._string
            self._string(char, offset)

    def _string(self, char: str, offset: int) -> None:
        if char == self._quote:
            self._state = self._code
        elif char == "\\":
            self._state = self._string_escape
        elif char in "\r\n":
            self._newline(offset)

    def _string_escape(self, _char: str, _offset: int) -> None:
        self._state = self._string

    def _triple(self, char: str, _offset: int) -> None:
        if char == self._quote:
            self._quotes += 1
            if self._quotes == 3:
                self._state = self._code
            return
        self._quotes = 0
        if char == "\\":
            self._state = self._triple_escape

    def _triple_escape(self, _char: str, _offset: int) -> None:
        self._state = self._triple


_ITEM_WORDS = frozenset({("def",), ("class",), ("async", "def")})
_FIRST_WORDS = frozenset({"import", "from", "def", "class", "async"})
