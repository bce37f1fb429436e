"""The compare room: results in; what changed, and whether these samples can show it, out."""
