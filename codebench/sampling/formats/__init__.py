"""The formats of checkpoints: one file loads one, the others are what they share."""
