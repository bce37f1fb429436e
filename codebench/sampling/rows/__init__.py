"""Rows that decode together: the engine, its cache, its draws, its memory."""
