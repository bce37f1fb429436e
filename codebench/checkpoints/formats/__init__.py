"""The formats of checkpoints: recognised and checked by their files, without torch."""
