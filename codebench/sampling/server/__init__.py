"""Completions from a server: OpenAI-compatible ones and Ollama. `opening` is the door."""
