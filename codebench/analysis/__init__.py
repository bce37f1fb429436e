"""Numbers about a program's text: lines, functions, complexity, declared items.

`client` is the room's door. What parses (`syntax`) runs only in the child process of `worker`:
a hostile program can overflow a parser's stack or keep it busy for ever.
"""
