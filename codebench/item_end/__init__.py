"""Where does the item that the prompt opened end? Used while sampling and while cutting."""

from codebench.item_end.scanner import ItemScanner

__all__ = ["ItemScanner"]
