"""Sample from a Hugging Face directory, offline and without code from the checkpoint.

Covers: every causal model of transformers; those whose memory is more than keys and values
(state-space models, hybrids) are sampled batch by batch, those that keep it to themselves without
any. Does not cover: models that bring their own Python code.
"""

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.checkpoints.formats.tokenizer_files import VOCABULARY_FILES, read_json
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.codec import TokenCodec
from codebench.sampling.device import choose_dtype
from codebench.sampling.formats.custom import RecomputingModel
from codebench.sampling.formats.tokenizers_json import open_tokenizer_json
from codebench.sampling.loaded_model import CausalModel, LoadedModel
from codebench.sampling.row_sampler import Notify, RowSampler
from codebench.sampling.rows.row_attention import use_row_attention

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PLAIN_LAYERS = {DynamicLayer, DynamicSlidingWindowLayer}
"""Kinds of memory that are nothing but keys and values; a subclass may keep more."""

_CACHE_NAMES = {"past_key_values", "cache_params"}
_KEEP_THEIR_STATE = {"recurrent_gemma", "rwkv"}
"""Models whose state stays inside them or has a form of its own."""

_WHOLE_MASK_TYPES = {"gpt2", "llama", "mistral", "qwen2", "qwen3"}
"""Models that read nothing else from the mask (ALiBi, for one, counts its ones)."""

HuggingFaceSampler = RowSampler


def load_huggingface(
    checkpoint: Checkpoint, device: torch.device, *, notify: Notify
) -> LoadedModel:
    """Load model and tokenizer from their files.

    Raises:
        UsageError: if the model is of a kind that is not covered.
        EnvironmentProblem: if the weights do not load.
    """
    dtype = choose_dtype(device)
    model = _load_model(checkpoint, dtype)
    config = read_json(checkpoint.path / "config.json")
    stored = config.get("dtype", config.get("torch_dtype"))
    if stored in ("bfloat16", "float16") and dtype is torch.float32:
        notify(f"{checkpoint.path} is stored in {stored} and computed in float32 on {device}")
    model.to(device)  # type: ignore[arg-type]  # the wrapper hides the signature
    tokenizer = _load_tokenizer(checkpoint)
    eos_ids = _eos_ids(checkpoint, tokenizer)
    if not eos_ids:
        notify(f"{checkpoint.path} names no end token: samples end at their item's end or limit")
    codec = TokenCodec(tokenizer, eos_ids)
    text_config = model.config.get_text_config()
    cache = DynamicCache(config=text_config)
    takes = set(inspect.signature(model.forward).parameters)
    kind = f"{checkpoint.path}: models of type {model.config.model_type!r}"
    called: CausalModel = model
    n_layers, keeps_columns = len(cache.layers), True
    if model.config.model_type in _KEEP_THEIR_STATE or not takes & _CACHE_NAMES:

        def read_all(ids: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(model(input_ids=ids, use_cache=False).logits)

        called, n_layers = RecomputingModel(read_all), 1
        notify(f"{kind} give no cache away: every token reads its whole text again (slow)")
    elif not cache.layers or not _PLAIN_LAYERS.issuperset(map(type, cache.layers)):
        keeps_columns = False
        notify(f"{kind} keep more than a key/value cache: they are sampled batch by batch (slower)")
    is_whole = called is model and takes_whole_mask(model)
    if is_whole and device.type == "cpu":
        use_row_attention(model)
    n_rows = checkpoint.files.n_embedding_rows
    max_positions = getattr(text_config, "max_position_embeddings", None)
    return LoadedModel(
        model=called,
        model_type=str(model.config.model_type),
        n_parameters=sum(p.numel() for p in model.parameters()),
        codec=codec,
        device=device,
        dtype=dtype,
        n_layers=n_layers,
        n_ids=codec.n_ids if n_rows is None else min(codec.n_ids, n_rows),
        eos_ids=eos_ids,
        max_positions=max_positions if isinstance(max_positions, int) else None,
        keeps_columns=keeps_columns,
        takes_whole_mask=is_whole,
    )


def takes_whole_mask(model: PreTrainedModel) -> bool:
    """Return whether `model` is known to use a mask (B, 1, 1, columns) as it is, with sdpa."""
    layers = DynamicCache(config=model.config.get_text_config()).layers
    return (
        model.config.model_type in _WHOLE_MASK_TYPES
        and model.config._attn_implementation == "sdpa"
        and {type(layer) for layer in layers} == {DynamicLayer}
    )


def _load_model(checkpoint: Checkpoint, dtype: torch.dtype) -> PreTrainedModel:
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = read_json(checkpoint.path / "config.json")
    if "auto_map" in config and config.get("model_type") not in transformers.CONFIG_MAPPING:
        raise UsageError(
            f"{checkpoint.path} brings its own Python code (auto_map), which codebench never runs"
        )
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint.path,
            config=AutoConfig.from_pretrained(
                checkpoint.path, local_files_only=True, trust_remote_code=False
            ),
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (ValueError, KeyError, OSError, RuntimeError, ImportError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise EnvironmentProblem(f"cannot load {checkpoint.path}: {first_line}") from error
    model: PreTrainedModel = loaded[0]
    report: dict[str, Iterable[object]] = loaded[1]
    for kind in ("missing_keys", "mismatched_keys"):
        names = sorted(str(name) for name in report[kind])
        if names:
            raise EnvironmentProblem(
                f"the weights in {checkpoint.path} do not fit its config.json: {len(names)} "
                f"{kind.replace('_keys', '')} tensors, the first is {names[0]}"
            )
    model.eval()  # type: ignore[no-untyped-call]
    return model


def _load_tokenizer(checkpoint: Checkpoint) -> "Tokenizer":
    files = checkpoint.files.tokenizer
    paths = {path.name: path for path in files}
    if "tokenizer.json" in paths or files[0].name not in VOCABULARY_FILES:
        return open_tokenizer_json(paths.get("tokenizer.json", files[0]))
    folder = files[0].parent
    try:
        slow = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        backend: Tokenizer = slow.backend_tokenizer
    except Exception as error:  # tokenizers raises bare Exception
        first_line = str(error).strip().partition("\n")[0]
        raise EnvironmentProblem(
            f"cannot load the tokenizer in {folder}: {first_line}; save it as tokenizer.json"
        ) from error
    else:
        return backend


def _eos_ids(checkpoint: Checkpoint, tokenizer: "Tokenizer") -> frozenset[int]:
    """Collect the end tokens from both configurations and the tokenizer's own."""
    found: set[int] = set()
    for path in checkpoint.files.config:
        eos = read_json(path).get("eos_token_id")
        found.update(eos if isinstance(eos, list) else [] if eos is None else [eos])
    for path in checkpoint.files.tokenizer:
        if path.name == "tokenizer_config.json":
            token = read_json(path).get("eos_token")
            content = token.get("content") if isinstance(token, dict) else token
            token_id = tokenizer.token_to_id(content) if isinstance(content, str) else None
            found.update([] if token_id is None else [token_id])
    return frozenset(found)
