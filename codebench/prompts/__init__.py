"""The prompt room: prompt sets, built in or the user's own TOML files, as frozen records."""

from codebench.prompts.loading import list_prompt_sets, load_prompt_set
from codebench.prompts.model import Language, Prompt, PromptSet

__all__ = ["Language", "Prompt", "PromptSet", "list_prompt_sets", "load_prompt_set"]
