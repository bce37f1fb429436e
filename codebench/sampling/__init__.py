"""Draw completions from a checkpoint. The only room that imports torch and transformers."""
