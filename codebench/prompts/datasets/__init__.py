"""Data sets of others, as prompt sets: one module per format, each with the facts of its format.

A data set comes in by its name (`catalogue.py` says which there are and where their files live) or
as a file in its own format, which is recognised by its keys (`formats.py`). Nothing of them is in
this package.
"""
