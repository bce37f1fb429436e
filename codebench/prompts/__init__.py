"""The prompt room: built-in sets, data sets of others and the user's files, as frozen records."""

from codebench.prompts.loading import list_prompt_sets, load_prompt_set
from codebench.prompts.model import Language, Profile, Prompt, PromptSet

__all__ = ["Language", "Profile", "Prompt", "PromptSet", "list_prompt_sets", "load_prompt_set"]
