"""Load a checkpoint with a function of the user's: `--loader package.module:function`.

The function takes the path of the checkpoint and a device and returns an object as `LoadedByUser`
describes it. Nothing is asked of the module but logits for ids: it is run again over the whole text
for every token (no cache), which is said once. A causal model of transformers is used with its
cache.

    def load(path, device):
        model = MyModel.from_file(path).to(device).eval()
        return SimpleNamespace(module=model, tokenizer=MyTokenizer(), max_positions=1024)
"""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.checkpoints.formats.custom import loader_source
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.codec import Codec, added_text
from codebench.sampling.formats.cached_attention import DecoderOutput
from codebench.sampling.formats.tokenizers_json import open_codec
from codebench.sampling.loaded_model import CausalModel, LoadedModel
from codebench.sampling.row_sampler import Notify


class UserTokenizer(Protocol):
    """What turns text into ids and back."""

    def encode(self, text: str) -> Sequence[int]:
        """Return the ids of a prompt, with whatever the model was trained to see before it."""
        ...

    def decode(self, ids: list[int]) -> str:
        """Return the text of `ids`, special tokens left out."""
        ...


class LoadedByUser(Protocol):
    """What a loader function returns.

    Optional attributes, read where they are there: `eos_ids`, the ids that end a text (default:
    none, or those of `--tokenizer`); `max_positions`, the longest text in tokens (default: no
    limit); `n_ids`, ids that may be drawn (default: as many as the logits have).
    """

    @property
    def module(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Takes ids (B, T) int64 and returns logits (B, T, V) at every position.

        It must be causal: texts shorter than T are filled up behind their end.
        """
        ...

    @property
    def tokenizer(self) -> UserTokenizer:
        """May be missing when `--tokenizer` gives one."""
        ...


class _UserCodec:
    """A user's tokenizer as a `Codec`."""

    def __init__(self, tokenizer: UserTokenizer, n_ids: int) -> None:
        self._tokenizer = tokenizer
        self._n_ids = n_ids

    @property
    def n_ids(self) -> int:
        """Ids that may be drawn."""
        return self._n_ids

    def encode(self, text: str) -> list[int]:
        """Return the ids of a prompt."""
        return [int(token_id) for token_id in self._tokenizer.encode(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`."""
        return str(self._tokenizer.decode(list(ids)))

    def new_text(self, prompt_ids: Sequence[int], new_ids: Sequence[int]) -> str:
        """Return what `new_ids` add to the text of `prompt_ids`."""
        return added_text(self, prompt_ids, new_ids)


class RecomputingModel:
    """Runs a module without a cache as a `CausalModel`: the cache holds the token ids only."""

    def __init__(self, module: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._module = module

    def __call__(
        self,
        *,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,  # noqa: ARG002  (as in transformers)
        past_key_values: Cache | None = None,
        use_cache: bool = True,  # noqa: ARG002
        logits_to_keep: int = 0,
    ) -> DecoderOutput:
        """Return the logits after the newest token of each row; without a mask, all of them."""
        past = DynamicCache() if past_key_values is None else past_key_values
        column = input_ids[:, None, :, None]  # (B, 1, T, 1), as keys of one head of size 1
        ids = past.update(column, column, 0)[0][:, 0, :, 0]  # (B, columns)
        if attention_mask is None:
            logits = self._run(ids)[:, -logits_to_keep:]
            return DecoderOutput(logits=logits, past_key_values=past)
        lengths = attention_mask.sum(1)  # (B,)
        longest = int(lengths.max())
        starts = ids.shape[1] - lengths
        columns = starts[:, None] + torch.arange(longest, device=ids.device)
        aligned = ids.gather(1, columns.clamp(max=ids.shape[1] - 1))  # (B, longest)
        last = (lengths - 1)[:, None, None]
        logits = self._run(aligned)
        newest = logits.gather(1, last.expand(-1, 1, logits.shape[-1]))  # (B, 1, V)
        return DecoderOutput(logits=newest, past_key_values=past)

    def _run(self, ids: torch.Tensor) -> torch.Tensor:
        logits = self._module(ids)
        shape = tuple(getattr(logits, "shape", ()))
        if not isinstance(logits, torch.Tensor) or len(shape) != 3 or shape[:2] != ids.shape:
            found = shape or type(logits).__name__
            raise UsageError(
                f"the module of --loader must return logits (B, T, V) at every position: for ids "
                f"{tuple(ids.shape)} it returned {found}"
            )
        return logits


class _Parts(NamedTuple):
    module: Any
    codec: Codec
    eos_ids: frozenset[int]


def load_custom(checkpoint: Checkpoint, device: torch.device, *, notify: Notify) -> LoadedModel:
    """Call the user's function and take what it returns.

    Raises:
        UsageError: if the function is not there, fails, or returns something else.
        EnvironmentProblem: if a file cannot be read.
    """
    assert checkpoint.loader is not None
    loaded = _call(checkpoint.loader, checkpoint.path, device)
    parts = _parts(loaded, checkpoint)
    module, n_layers = parts.module, 1
    model: CausalModel
    if isinstance(module, PreTrainedModel):
        layers = DynamicCache(config=module.config.get_text_config()).layers
        if {type(layer) for layer in layers} != {DynamicLayer}:
            raise UsageError(f"--loader {checkpoint.loader}: a model with more than a plain cache")
        model, n_layers = module, len(layers)
    else:
        model = RecomputingModel(module)
        notify(
            f"--loader {checkpoint.loader}: a module without a cache, every token reads its whole "
            "text again (slow)"
        )
    max_positions = getattr(loaded, "max_positions", None)
    parameters = list(module.parameters()) if isinstance(module, torch.nn.Module) else []
    return LoadedModel(
        model=model,
        model_type=checkpoint.loader,
        n_parameters=sum(parameter.numel() for parameter in parameters),
        codec=parts.codec,
        device=device,
        dtype=parameters[0].dtype if parameters else torch.float32,
        n_layers=n_layers,
        n_ids=parts.codec.n_ids,
        eos_ids=parts.eos_ids,
        max_positions=max_positions if isinstance(max_positions, int) else None,
    )


def _call(loader: str, path: Path, device: torch.device) -> LoadedByUser:
    loader_source(loader)
    module, _, name = loader.partition(":")
    try:
        function = getattr(import_module(module), name, None)
    except Exception as error:  # whatever the user's module raises on import
        raise UsageError(f"--loader {loader}: importing {module} failed: {error!r}") from error
    if not callable(function):
        raise UsageError(f"--loader {loader}: {module} has no function {name}")
    try:
        loaded: LoadedByUser = function(path, device)
    except OSError as error:
        raise EnvironmentProblem(f"--loader {loader}: cannot read {path}: {error}") from error
    except Exception as error:
        raise UsageError(f"--loader {loader}: it failed on {path}: {error!r}") from error
    return loaded


def _parts(loaded: LoadedByUser, checkpoint: Checkpoint) -> _Parts:
    module = getattr(loaded, "module", None)
    if not callable(module):
        raise UsageError(f"--loader {checkpoint.loader}: what it returned has no callable .module")
    eos_ids: Iterable[int] = getattr(loaded, "eos_ids", ())
    if checkpoint.files.tokenizer:
        codec, own_eos = open_codec(checkpoint.files.tokenizer)
        return _Parts(module, codec, frozenset(eos_ids) or own_eos)
    tokenizer: Any = getattr(loaded, "tokenizer", None)
    if not all(callable(getattr(tokenizer, name, None)) for name in ("encode", "decode")):
        raise UsageError(
            f"--loader {checkpoint.loader}: what it returned has no .tokenizer with encode and "
            "decode; or give one with --tokenizer"
        )
    n_ids = getattr(loaded, "n_ids", None)
    n_ids = n_ids if isinstance(n_ids, int) else 1 << 62
    return _Parts(module, _UserCodec(tokenizer, n_ids), frozenset(int(i) for i in eos_ids))
