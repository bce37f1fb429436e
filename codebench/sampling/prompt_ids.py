"""How a prompt is put to a model: as text to go on with, or as a message in a chat."""

import hashlib
from typing import Protocol

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.errors import UsageError
from codebench.prompts.model import Prompt
from codebench.sampling.codec import Codec, TokenCodec
from codebench.sampling.server.wire import CHAT_INSTRUCTION, chat_message

_DATE = "26 Jul 2024"
"""Templates that write today's date into the prompt (Llama 3) get this one instead: the samples of
tomorrow are to be those of today. It is the date that they fall back to."""

_TEMPLATE_FILE = "chat_template.jinja"


class PromptIds(Protocol):
    """Turns prompts into what the model reads."""

    @property
    def is_chat(self) -> bool:
        """Whether the model answers instead of going on: nothing then ends at the item's end."""
        ...

    def encode(self, prompt: Prompt) -> list[int]:
        """Return the ids of `prompt`; raises UsageError where it has none."""
        ...


class PlainPrompts:
    """The prompt's code as it is, for the model to go on with."""

    is_chat = False

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def encode(self, prompt: Prompt) -> list[int]:
        """Return the ids of the code before the completion."""
        ids = self._codec.encode(prompt.prefix)
        if not ids:
            raise UsageError(f"prompt {prompt.id!r} has no tokens: it needs some text")
        return ids


class ChatPrompts:
    """The prompt as a user's message, rendered by the chat template of the checkpoint's tokenizer.

    Raises:
        UsageError: if the tokenizer has no chat template.
    """

    is_chat = True

    def __init__(self, checkpoint: Checkpoint, codec: Codec) -> None:
        from transformers import AutoTokenizer

        files = checkpoint.files.tokenizer
        folder = files[0].parent if files else checkpoint.path
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            template = self._tokenizer.chat_template
        except Exception as error:  # tokenizers raises bare Exception
            first_line = str(error).strip().partition("\n")[0]
            raise UsageError(
                f"--chat: cannot read a chat template in {folder}: {first_line}"
            ) from (error)
        if not template or not isinstance(codec, TokenCodec):
            raise UsageError(
                f"--chat: the tokenizer in {folder} has no chat template: sample without --chat, "
                f"or put a {_TEMPLATE_FILE} beside it"
            )
        self._folder = folder
        self._codec = codec
        self.fingerprint = hashlib.sha256(f"{template}\n{CHAT_INSTRUCTION}".encode()).hexdigest()
        """Of the template and the instruction: another one draws other samples."""

    def encode(self, prompt: Prompt) -> list[int]:
        """Return the ids of the conversation up to where the model answers."""
        message = {"role": "user", "content": chat_message(prompt)}
        try:
            text = self._tokenizer.apply_chat_template(
                [message], tokenize=False, add_generation_prompt=True, date_string=_DATE
            )
        except Exception as error:  # whatever the template raises
            first_line = str(error).strip().partition("\n")[0]
            raise UsageError(
                f"--chat: the chat template in {self._folder} failed on prompt {prompt.id!r}: "
                f"{first_line}"
            ) from error
        return self._codec.encode_rendered(str(text))
