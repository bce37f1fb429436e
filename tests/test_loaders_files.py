"""Names, tokenizers and damaged, hostile or foreign files of nanoGPT's and nanochat's formats."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from codebench.checkpoints.checkpoint import CheckpointFormat
from codebench.checkpoints.formats.pickled_vocabulary import (
    BytePairVocabulary,
    CharVocabulary,
    read_vocabulary,
)
from codebench.checkpoints.resolve import list_checkpoints, resolve_checkpoint
from codebench.errors import EnvironmentProblem, UsageError
from codebench.sampling.codec import TextStream
from codebench.sampling.formats.vocabularies import BytePairCodec, CharCodec

DATA = Path(__file__).parents[2] / "shared" / "data" / "checkpoints"
TIKTOKEN = DATA / "nanochat" / "tokenizer" / "tokenizer.pkl"


class Hostile:
    """Runs a command when it is unpickled, unless somebody refuses."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self._command,)


def nanogpt(folder: Path, *, n_embd: int = 8, step: int = 3, name: str = "ckpt.pt") -> Path:
    """Write a whole checkpoint of nanoGPT with one layer."""
    d, shapes = n_embd, {"wte": (5, n_embd), "wpe": (16, n_embd), "ln_f": (n_embd,)}
    layer = {"attn.c_attn": (3 * d, d), "attn.c_proj": (d, d), "ln_1": (d,), "ln_2": (d,)}
    layer |= {"mlp.c_fc": (4 * d, d), "mlp.c_proj": (d, 4 * d)}
    shapes |= {f"h.0.{part}": shape for part, shape in layer.items()}
    args = {"n_layer": 1, "n_head": 2, "n_embd": d, "block_size": 16, "vocab_size": 5}
    content = {
        "model": {
            f"transformer.{part}.weight": torch.ones(shape) for part, shape in shapes.items()
        },
        "model_args": {**args, "bias": False, "dropout": 0.0},
        "iter_num": step,
        "config": {"dataset": "tiny"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(content, folder / name)
    char_vocabulary(folder / "meta.pkl", "abcde")
    return folder / name


def char_vocabulary(path: Path, chars: str) -> None:
    """Write a meta.pkl."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stoi = {char: i for i, char in enumerate(chars)}
    path.write_bytes(pickle.dumps({"vocab_size": len(chars), "stoi": stoi}))


def nanochat_steps(root: Path, steps: tuple[int, ...]) -> Path:
    """Write files that are only named like nanochat's."""
    folder = root / "base_checkpoints" / "d20"
    folder.mkdir(parents=True)
    for step in steps:
        torch.save({"lm_head.weight": torch.ones(2)}, folder / f"model_{step:06d}.pt")
        torch.save({"state": {}}, folder / f"optim_{step:06d}_rank0.pt")
    return folder


# --- names ----------------------------------------------------------------------------------


def test_names_of_nanogpt(tmp_path: Path) -> None:
    """Folder, file, step and `latest` all mean out/ckpt.pt, and iter_num is its step."""
    path = nanogpt(tmp_path / "out", step=750)
    for name in (str(path), str(path.parent), "out", "750", "latest", "ckpt-750"):
        found = resolve_checkpoint(name, root=tmp_path)
        assert (found.path, found.step) == (path, 750)
        assert found.format is CheckpointFormat.NANOGPT


def test_a_folder_of_steps_means_its_newest(tmp_path: Path) -> None:
    """base_checkpoints/d20 is its last step; any other is named by number or file."""
    folder = nanochat_steps(tmp_path, (500, 1000, 1500))
    entries = list_checkpoints(folder)
    assert [entry.step for entry in entries] == [500, 1000, 1500]
    assert [entry.step for entry in list_checkpoints(folder.parent)] == [500, 1000, 1500]
    names = {str(folder): 1500, "model_001000": 1000, "model_000500.pt": 500, "500": 500}
    for name, step in {**names, "latest": 1500, "step_1000": 1000}.items():
        with pytest.raises(EnvironmentProblem, match=f"model_{step:06d}.pt lacks meta_{step:06d}"):
            resolve_checkpoint(name, root=folder)


def test_ckpt_files_by_step(tmp_path: Path) -> None:
    """Trainers that keep ckpt_1000.pt beside ckpt_500.pt get the newest for the folder."""
    nanogpt(tmp_path / "out", step=500, name="ckpt_500.pt")
    newest = nanogpt(tmp_path / "out", step=1000, name="ckpt_1000.pt")
    assert resolve_checkpoint(str(tmp_path / "out")).path == newest
    assert resolve_checkpoint("500", root=tmp_path / "out").step == 500


def test_the_data_of_nanochat_and_nanogpt() -> None:
    """The checkpoints made by foreign code are found with their tokenizers."""
    if not TIKTOKEN.exists():
        pytest.skip(f"no checkpoints of nanochat and nanoGPT at {DATA}")
    chat = resolve_checkpoint("d4", root=DATA / "nanochat" / "base_checkpoints")
    assert (chat.step, chat.files.tokenizer, chat.files.n_tokenizer_ids) == (500, (TIKTOKEN,), 309)
    assert resolve_checkpoint("750", root=DATA).files.tokenizer[0].name == "meta.pkl"


def test_resolving_imports_no_torch(tmp_path: Path) -> None:
    """A checkpoint is found and checked, down to its tensors, without torch."""
    path = nanogpt(tmp_path)
    code = (
        "import sys; from codebench.checkpoints.resolve import resolve_checkpoint as resolve; "
        f"resolve({str(path)!r}); sys.exit(bool({{'torch', 'tokenizers'}} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- tokenizers -----------------------------------------------------------------------------


def test_the_tokenizer_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    """Other weights, another tokenizer, another setting: another fingerprint; a copy: the same."""
    first = resolve_checkpoint(str(nanogpt(tmp_path / "a")))
    assert resolve_checkpoint(str(nanogpt(tmp_path / "b"))).fingerprint == first.fingerprint
    char_vocabulary(tmp_path / "other" / "meta.pkl", "edcba")
    folder = str(tmp_path / "a")
    prints = {
        resolve_checkpoint(folder, tokenizer=tmp_path / "other").fingerprint,
        resolve_checkpoint(folder, tokenizer=tmp_path / "other" / "meta.pkl").fingerprint,
        resolve_checkpoint(folder, settings={"activation": "gelu_new"}).fingerprint,
        first.fingerprint,
    }
    assert len(prints) == 3


def test_the_characters_lie_with_the_dataset(tmp_path: Path) -> None:
    """NanoGPT's data/<dataset>/meta.pkl is found beside the folder of the checkpoint."""
    path = nanogpt(tmp_path / "out")
    (path.parent / "meta.pkl").unlink()
    with pytest.raises(UsageError, match=r"has no tokenizer: looked for .*; give --tokenizer: its"):
        resolve_checkpoint(str(path))
    char_vocabulary(tmp_path / "data" / "tiny" / "meta.pkl", "abcde")
    found = resolve_checkpoint(str(path)).files.tokenizer
    assert found == (tmp_path / "data" / "tiny" / "meta.pkl",)


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    """More ids than rows is named with both numbers."""
    path = nanogpt(tmp_path)
    char_vocabulary(tmp_path / "meta.pkl", "abcdefg")
    with pytest.raises(UsageError, match=r"does not fit the weights: .*up to 6, .* has 5 rows"):
        resolve_checkpoint(str(path))
    with pytest.raises(UsageError, match=r"no tokenizer at .*nowhere: give a tokenizer\.json"):
        resolve_checkpoint(str(path), tokenizer=tmp_path / "nowhere")


def test_characters_there_and_back() -> None:
    """A character vocabulary is read as it is."""
    codec = CharCodec(CharVocabulary(ids={char: i for i, char in enumerate("helo wrd")}))
    assert codec.decode(codec.encode("low held")) == "low held"
    assert codec.new_text(codec.encode("he"), codec.encode("llo")) == "llo"


def test_byte_pairs_are_those_of_tiktoken() -> None:
    """Every text has the ids that tiktoken gives it."""
    tiktoken = pytest.importorskip("tiktoken", reason="tiktoken is not installed")
    if not TIKTOKEN.exists():
        pytest.skip(f"no checkpoints of nanochat and nanoGPT at {DATA}")
    vocabulary = read_vocabulary(TIKTOKEN)
    assert isinstance(vocabulary, BytePairVocabulary)
    theirs = tiktoken.Encoding(
        "x",
        pat_str=vocabulary.pattern,
        mergeable_ranks=dict(vocabulary.ranks),
        special_tokens=dict(vocabulary.special),
    )
    ours = BytePairCodec(vocabulary, bos="<|bos|>")
    texts = [path.read_text()[:20_000] for path in Path(__file__).parent.glob("test_[lrs]*.py")]
    texts += ["", " ", "é漢🙂\u2028 I'LL it'ſ 12345  \n\n\t x", "<|bos|>", "aaaaaaa  \r\n"]
    for text in texts:
        ids = ours.encode(text)
        assert ids == [vocabulary.special["<|bos|>"], *theirs.encode_ordinary(text)]
        assert ours.decode(ids) == text


def test_byte_pairs_grow_character_by_character() -> None:
    """A character of several tokens comes out when its last byte is there."""
    ranks = {bytes([i]): i for i in range(256)}
    codec = BytePairCodec(
        BytePairVocabulary(pattern=r"\S+|\s+", ranks=ranks, special={"<|bos|>": 256}), bos="<|bos|>"
    )
    prompt_ids = codec.encode("fn é")
    stream = TextStream(codec, prompt_ids)
    assert [stream.feed(byte) for byte in "a🙂b".encode()] == ["a", "", "", "", "🙂", "b"]
    assert codec.new_text(prompt_ids, list("🙂".encode())) == "🙂"


# --- damaged and foreign files --------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 3, 100, 0.3, 0.9, -30])
def test_a_torn_file(tmp_path: Path, kept: float) -> None:
    """A .pt that is cut anywhere is still being written, exit 3."""
    path = nanogpt(tmp_path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * kept) if 0 < kept < 1 else int(kept)])
    with pytest.raises((EnvironmentProblem, UsageError)) as caught:
        resolve_checkpoint(str(path))
    if kept != 3:
        assert "still being written?" in str(caught.value)
        assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_a_file_without_a_tensor(tmp_path: Path) -> None:
    """A zip that lacks the bytes of a tensor is damaged."""
    path = nanogpt(tmp_path)
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    victim = next(name for name in parts if "/data/" in name)
    with zipfile.ZipFile(path, "w") as damaged:
        for name, content in parts.items():
            damaged.writestr(name, content[:-4] if name == victim else content)
    with pytest.raises(EnvironmentProblem, match=r"damaged weights: .* lacks the \d+ bytes of te"):
        resolve_checkpoint(str(path))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"not a torch file at all", r"is no file of torch\.save"),
        ({"hello": 1}, "holds no model_args; .*--loader"),
        ({"model_args": {"dim": 8}, "model": {}}, "model_args has no n_layer"),
    ],
)
def test_a_foreign_pt_file(tmp_path: Path, content: object, found: str) -> None:
    """Another program's .pt file is told what it lacks."""
    path = tmp_path / "ckpt.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(UsageError, match=found):
        resolve_checkpoint(str(path))


def test_tensors_that_do_not_fit(tmp_path: Path) -> None:
    """A tensor that is missing, left over or of another shape is named."""
    path = nanogpt(tmp_path)
    whole = torch.load(path, weights_only=True)
    name = "transformer.h.0.mlp.c_fc.weight"
    cases = {
        f"it lacks {name}": {k: v for k, v in whole["model"].items() if k != name},
        "it holds unknown extra.weight": {**whole["model"], "extra.weight": torch.ones(1)},
        rf"{name} has shape \(2,\), not \(32, 8\)": {**whole["model"], name: torch.ones(2)},
        "'x' is not a tensor": {**whole["model"], "x": 1},
    }
    for found, model in cases.items():
        torch.save({**whole, "model": model}, path)
        with pytest.raises((EnvironmentProblem, UsageError), match=found):
            resolve_checkpoint(str(path))


def test_hostile_weights_are_refused_by_name(tmp_path: Path) -> None:
    """A .pt that would run a command is not run, and the global it asks for is named."""
    path, proof = nanogpt(tmp_path), tmp_path / "ran"
    torch.save({"model": {}, "model_args": {}, "x": Hostile(f"touch {proof}")}, path)
    with pytest.raises(UsageError, match=r"refused: its pickle asks for posix\.system, which"):
        resolve_checkpoint(str(path))
    assert not proof.exists()


NESTED = b"\x80\x04\x8c\x0dtiktoken.core\x8c\x1dEncoding.__init__.__globals__\x93."
"""A pickle that reaches through an attribute of the one global that is allowed."""


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (pickle.dumps({"stoi": Hostile("touch ran")}), r"posix\.system"),
        (pickle.dumps({"stoi": {"a": 0}, "x": io.BytesIO}), r"_io\.BytesIO"),
        (pickle.dumps(eval), r"builtins\.eval"),
        (NESTED, r"tiktoken\.core\.Encoding\.__init__\.__globals__"),
        (b"\x80\x04\x95garbage", "holds no valid pickle; still being written"),
        (b"", "holds no valid pickle; still being written"),
        (pickle.dumps({"stoi": {"ab": 0}}), "no vocabulary that codebench knows"),
        (pickle.dumps([1, 2]), "no vocabulary that codebench knows"),
    ],
)
@pytest.mark.parametrize("name", ["meta.pkl", "tokenizer.pkl"])
def test_hostile_vocabularies_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, found: str
) -> None:
    """A vocabulary that asks for anything but its one global is not run, and it is named."""
    monkeypatch.chdir(tmp_path)
    path = nanogpt(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises((UsageError, EnvironmentProblem), match=found) as caught:
        resolve_checkpoint(str(path), tokenizer=tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("meta", "found"),
    [
        ("{", "is not valid JSON; still being written"),
        ("{}", "has no model_config"),
        (json.dumps({"model_config": {"n_layer": 1}}), "model_config has no sequence_len"),
    ],
)
def test_meta_files_of_nanochat(tmp_path: Path, meta: str, found: str) -> None:
    """A meta file that is cut or of something else is named."""
    folder = nanochat_steps(tmp_path, (5,))
    (folder / "meta_000005.json").write_text(meta)
    with pytest.raises((UsageError, EnvironmentProblem), match=found):
        resolve_checkpoint(str(folder))
