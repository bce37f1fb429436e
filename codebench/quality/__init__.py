"""How a model writes, beyond compiling: repetition, collapse, diversity, likeness. Pure functions.

Takes texts and shapes, gives numbers. Does not cover: parsing (`analysis`), counting over a run
(`results`).
"""
