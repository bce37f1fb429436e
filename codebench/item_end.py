"""Where does the item that the prompt opened end? One scanner per language, fed piece by piece.

The scanners work at the level of a lexer: they know strings, comments and character literals, and
nothing of grammar, so they do on broken code what they do on good code. Each character is looked
at once and moves a small automaton on; no piece is ever looked at again, which makes the answer
independent of how the text was cut into pieces (the sampler feeds token by token).

Not covered: an f-string that holds its own quote character (Python 3.12) is read as two strings.
"""

from collections.abc import Callable
from typing import Protocol

from codebench.prompts.model import Language


class _Lexer(Protocol):
    """One language's automaton."""

    end: int | None
    in_prefix: bool

    def step(self, char: str, offset: int) -> None:
        """Look at the character at `offset`; set `end` when the item's end is known."""
        ...


class ItemScanner:
    """Finds the end of the item that `prefix` opened, in the text that is fed after it.

    `prefix` is the prompt's own text, or context and prompt together where the context's items
    are complete; it may be empty, and then the first item of the fed text is the one.
    """

    def __init__(self, language: Language, prefix: str) -> None:
        self._lexer: _Lexer = _LEXERS[language]()
        self._offset = -len(prefix)
        self._lexer.in_prefix = True
        self.feed(prefix)
        self._lexer.in_prefix = False

    def feed(self, text: str) -> int | None:
        """Read the next piece and return the item's end once it is known.

        Returns:
            The number of characters, from the start of all text fed, up to and including the
            item's last one; the same answer again after that. None while the item is open.
        """
        lexer = self._lexer
        if lexer.end is None:
            step, offset = lexer.step, self._offset
            for char in text:
                step(char, offset)
                offset += 1
                if lexer.end is not None:
                    break
            self._offset = offset
        return lexer.end


_RAW_PREFIXES = frozenset({"r", "br", "cr"})
_MODIFIERS = frozenset({"pub", "crate", "default", "unsafe", "async", "extern", "safe"})
_SEMICOLON_ITEMS = frozenset({"const", "static", "type", "use"})
_OPEN, _CLOSE = frozenset("(["), frozenset(")]")


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


class _RustLexer:
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
            self._word += char
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


_TAB = 8
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


class _PythonLexer:
    """Indentation of logical lines, outside strings, brackets and backslash continuations.

    The item is the outermost `def` or `class` of the prefix (of the text, if the prefix has none);
    it ends before the first line of code whose indentation is not larger than the item's own.
    Blank lines and lines of comment decide nothing, and those before that line are left out.
    """

    def __init__(self) -> None:
        self.end: int | None = None
        self.in_prefix = False
        self._state: Callable[[str, int], None] = self._indentation
        self._column = 0  # indentation of the line
        self._item_column: int | None = None
        self._code_end = 0  # just after the newline of the last line of code
        self._words: tuple[str, ...] = ()  # the first two of the logical line
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
        elif self._dedented():
            self.end = max(0, self._code_end)
        else:
            self._words, self._word = (), ""
            self._state = self._code
            self._code(char, offset)

    def _dedented(self) -> bool:
        if self.in_prefix or self._item_column is None:
            return False
        return self._column <= self._item_column

    def _comment_line(self, char: str, _offset: int) -> None:
        if char in "\r\n":
            self._column = 0
            self._state = self._indentation

    def _code(self, char: str, offset: int) -> None:
        if _is_word(char):
            if len(self._words) < 2:
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
        if self._words not in _ITEM_WORDS:
            return
        if self._item_column is None or self._column <= self._item_column:
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

_LEXERS: dict[Language, Callable[[], _Lexer]] = {
    Language.RUST: _RustLexer,
    Language.PYTHON: _PythonLexer,
}
