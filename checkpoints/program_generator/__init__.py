"""A typed generator of small Rust and Python programs: the text the demonstration model learns.

`corpus.documents(seed=...)` is the only door. Every program is built from scratch by code that
knows which variables are in scope and which type each has; nothing is copied from the prompt
sets, and all names come from the lists in `words.py`.
"""
