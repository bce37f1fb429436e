"""Where does the item that the prompt opened end? One scanner per language, fed piece by piece.

The scanners work at the level of a lexer: they know strings, comments and character literals, and
nothing of grammar, so they do on broken code what they do on good code. Each character is looked
at once and moves a small automaton on; no piece is ever looked at again, which makes the answer
independent of how the text was cut into pieces (the sampler feeds token by token).

Not covered: an f-string that holds its own quote character (Python 3.12) is read as two strings.
"""

from typing import Protocol, Self

from codebench.item_end.python_lexer import PythonLexer
from codebench.item_end.rust_lexer import RustLexer
from codebench.prompts.model import Language, Prompt


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
    are complete. If it opens no item, the one of the fed text is meant that is called `name` (in
    Python), or the first.
    """

    def __init__(self, language: Language, prefix: str, *, name: str | None = None) -> None:
        self._lexer: _Lexer = PythonLexer(name) if language is Language.PYTHON else RustLexer()
        self._offset = -len(prefix)
        self._lexer.in_prefix = True
        self.feed(prefix)
        self._lexer.in_prefix = False

    @classmethod
    def of(cls, prompt: Prompt) -> Self:
        """Return the scanner of what is written after a prompt."""
        return cls(prompt.language, prompt.prefix, name=prompt.item.split()[-1])

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
