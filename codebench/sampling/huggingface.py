"""Sample from a Hugging Face directory, offline and without code from the checkpoint.

Covers: every causal model of transformers whose memory is a key/value cache alone; sliding windows
too. Does not cover: state-space and hybrid models, and models that bring their own Python code.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.checkpoints.huggingface import read_json
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.codec import TokenCodec
from codebench.sampling.completion import (
    Completion,
    SampleRequest,
    SamplerTiming,
    SamplingParams,
)
from codebench.sampling.device import choose_dtype
from codebench.sampling.engine import RowEngine
from codebench.sampling.loaded_model import LoadedModel

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Notify = Callable[[str], None]
"""Takes one line for the user's stderr."""

_PLAIN_LAYERS = {DynamicLayer, DynamicSlidingWindowLayer}
"""Kinds of memory that are nothing but keys and values; a subclass may keep more."""

_ROWS_ON_CPU = 32  # measured: 1260, 1630, 1230 tokens/s with 16, 32, 64 rows (6 layers of 256)
_ROWS_ON_GPU = 64


class HuggingFaceSampler:
    """A `Sampler` over one loaded checkpoint."""

    def __init__(
        self,
        loaded: LoadedModel,
        params: SamplingParams,
        *,
        batch_size: int | None = None,
        load_s: float = 0.0,
    ) -> None:
        is_cpu = loaded.device.type == "cpu"
        self._n_rows = batch_size or (_ROWS_ON_CPU if is_cpu else _ROWS_ON_GPU)
        self._load_s = load_s
        self._loaded = loaded
        self._engine = RowEngine(loaded, params, n_rows=self._n_rows)

    def sample(self, requests: Iterable[SampleRequest]) -> Iterator[Completion]:
        """Yield one completion per request, as they finish; pulls requests lazily.

        Raises:
            EnvironmentProblem: if the GPU has too little memory for the rows.
        """
        try:
            yield from self._engine.run(requests)
        except torch.OutOfMemoryError as error:
            raise EnvironmentProblem(
                f"{self._loaded.device} ran out of memory with {self._n_rows} rows: "
                f"use --batch-size {max(1, self._n_rows // 2)} or --device cpu"
            ) from error

    def timing(self) -> SamplerTiming:
        """Return where the time went so far."""
        return replace(self._engine.timing(), load_s=self._load_s)

    def describe(self) -> dict[str, str | int | float]:
        """Return facts for results.json."""
        return {
            "engine": "rows",
            "model_type": str(self._loaded.model.config.model_type),
            "n_parameters": sum(p.numel() for p in self._loaded.model.parameters()),
            "device": _device_name(self._loaded.device),
            "dtype": str(self._loaded.dtype).removeprefix("torch."),
            "rows": self._n_rows,
            "n_threads": torch.get_num_threads(),
            "determinism": "token-level: independent of batch, order and shard up to rounding",
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }


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
    model.to(device)  # type: ignore[arg-type]  # the wrapper hides the signature
    tokenizer = _load_tokenizer(checkpoint)
    eos_ids = _eos_ids(checkpoint, tokenizer)
    if not eos_ids:
        notify(f"{checkpoint.path} names no end token: samples end at their item's end or limit")
    codec = TokenCodec(tokenizer, eos_ids)
    text_config = model.config.get_text_config()
    cache = DynamicCache(config=text_config)
    if not cache.layers or not _PLAIN_LAYERS.issuperset(map(type, cache.layers)):
        raise UsageError(
            f"{checkpoint.path}: models of type {model.config.model_type!r} keep more than a "
            "key/value cache, which codebench cannot sample from yet"
        )
    n_rows = checkpoint.files.n_embedding_rows
    max_positions = getattr(text_config, "max_position_embeddings", None)
    return LoadedModel(
        model=model,
        codec=codec,
        device=device,
        dtype=dtype,
        n_layers=len(cache.layers),
        n_ids=codec.n_ids if n_rows is None else min(codec.n_ids, n_rows),
        eos_ids=eos_ids,
        max_positions=max_positions if isinstance(max_positions, int) else None,
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
    from tokenizers import Tokenizer

    paths = {path.name: path for path in checkpoint.files.tokenizer}
    folder = checkpoint.files.tokenizer[0].parent
    try:
        if "tokenizer.json" in paths:
            return Tokenizer.from_file(str(paths["tokenizer.json"]))
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


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)
