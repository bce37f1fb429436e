"""Write a Llama checkpoint as a GGUF file: what `tests/test_llama_cpp.py` serves.

A program of its own, run by a Python that has `gguf` and numpy; nothing of codebench is imported.
Covers what the demonstration model is: LlamaForCausalLM in one bf16 or f32 safetensors file, plain
rotary positions, a byte-level BPE. The numbers are exact, since f32 holds every bf16.

Not exact: GGUF names a pre-tokenizer instead of holding its regular expression, and llama.cpp knows
none with ours. `superbpe` splits at numbers only, and merges of ours hardly reach over our splits:
the prompts of rust-basics, rust-extended and python-basics are the same ids (16 of 16, 61 of 61,
47 of 47; as `gpt-2` 10, 24 and 0; as `default` 0, 0 and 6).

Sources: llama.cpp's conversion of Llama (`permute`, tensor names) and `src/llama-vocab.cpp`, as in
llama-cpp-python 0.3.36; safetensors' README (header length in 8 bytes, header as JSON, data).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import gguf  # type: ignore[import-not-found]  # it comes with the other Python
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_WHOLE = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
_OF_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def read_weights(path: Path) -> dict[str, Array]:
    """Return the tensors of a safetensors file in f32.

    Raises:
        ValueError: if one is of another type than bf16 and f32.
    """
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    return {name: _array(name, facts, content[start:]) for name, facts in header.items()}


def _array(name: str, facts: dict[str, Any], content: bytes) -> Array:
    begin, end = facts["data_offsets"]
    raw = content[begin:end]
    if facts["dtype"] == "F32":
        flat = np.frombuffer(raw, "<f4")
    elif facts["dtype"] == "BF16":  # the upper half of an f32
        flat = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        raise ValueError(f"{name} is {facts['dtype']}: only BF16 and F32 are covered")
    return flat.reshape(facts["shape"])


def gguf_name(name: str) -> str:
    """Return llama.cpp's name of a tensor."""
    stem = name.removesuffix(".weight")
    if stem in _WHOLE:
        return f"{_WHOLE[stem]}.weight"
    _, _, layer, of_layer = stem.split(".", 3)
    return f"blk.{layer}.{_OF_LAYER[of_layer]}.weight"


def interleave(weight: Array, n_heads: int) -> Array:
    """Return a query or key projection with the rows of a head in llama.cpp's rotary order.

    Hugging Face turns row i of a head with row i + half; llama.cpp turns neighbours.
    """
    halves = weight.reshape(n_heads, 2, weight.shape[0] // n_heads // 2, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))


def _add_model(writer: Any, config: dict[str, Any]) -> None:  # noqa: ANN401  (gguf has no types here)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _add_tokenizer(writer: Any, tokenizer: dict[str, Any], eos_id: int, pre: str) -> None:  # noqa: ANN401
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    special = {token["id"] for token in tokenizer["added_tokens"] if token["special"]}
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([control if vocabulary[t] in special else normal for t in tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(eos_id)  # never added; without it llama.cpp takes GPT-2's id for one
    writer.add_eos_token_id(eos_id)
    writer.add_add_bos_token(False)  # noqa: FBT003  (gguf's signature)


def write_gguf(checkpoint: Path, output: Path, *, pre: str) -> None:
    """Write the checkpoint in the folder `checkpoint` to `output`.

    Args:
        checkpoint: Folder with config.json, tokenizer.json and model.safetensors.
        output: The GGUF file.
        pre: llama.cpp's name of a pre-tokenizer.
    """
    config = json.loads((checkpoint / "config.json").read_text())
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    writer = gguf.GGUFWriter(output, "llama")
    writer.add_name(checkpoint.name)
    _add_model(writer, config)
    _add_tokenizer(writer, tokenizer, config["eos_token_id"], pre)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, weight in read_weights(checkpoint / "model.safetensors").items():
        n_heads = heads.get(name.split(".")[-2])
        turned = interleave(weight, n_heads) if n_heads else weight
        writer.add_tensor(gguf_name(name), turned)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a Llama checkpoint as a GGUF file.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pre", default="superbpe", help="pre-tokenizer, by llama.cpp's name")
    arguments = parser.parse_args()
    write_gguf(arguments.checkpoint, arguments.output, pre=arguments.pre)
