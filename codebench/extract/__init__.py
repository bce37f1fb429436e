"""Which text is the program: the model's text, joined to its prompt and cut at the item's end."""

from codebench.extract.program import Extraction, ExtractMode, Program
from codebench.extract.reading import extract_program

__all__ = ["ExtractMode", "Extraction", "Program", "extract_program"]
