"""Tests of the room that finds checkpoints and checks that they are whole."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from codebench.checkpoints.checkpoint import CheckpointFormat, FingerprintKind
from codebench.checkpoints.fingerprint import fingerprint
from codebench.checkpoints.formats.safetensors_header import read_safetensors_header
from codebench.checkpoints.resolve import list_checkpoints, resolve_checkpoint, step_of
from codebench.errors import EnvironmentProblem, UsageError


def safetensors_bytes(shapes: dict[str, list[int]]) -> bytes:
    """Return a whole file of float32 zeros."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    raw = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(offset)


def make_checkpoint(path: Path, *, n_rows: int = 8, n_ids: int = 8) -> Path:
    """Write a directory that has everything a Hugging Face checkpoint needs, in small."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": n_rows}))
    weights = safetensors_bytes({"model.embed_tokens.weight": [n_rows, 4], "lm_head.weight": [2]})
    (path / "model.safetensors").write_bytes(weights)
    vocab = {f"t{i}": i for i in range(n_ids - 1)}
    tokenizer = {"model": {"vocab": vocab}, "added_tokens": [{"id": n_ids - 1}]}
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with checkpoints of steps 500, 1000 and 10000."""
    for name in ("step_1000", "checkpoint-10000", "step_500"):
        make_checkpoint(tmp_path / "checkpoints" / name)
    return tmp_path / "checkpoints"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("step_1000", "step_1000"),
        ("1000", "step_1000"),
        ("10000", "checkpoint-10000"),
        ("step_10000", "checkpoint-10000"),
        ("checkpoint-10000", "checkpoint-10000"),
        ("latest", "checkpoint-10000"),
    ],
)
def test_names_below_the_root(root: Path, name: str, expected: str) -> None:
    """A directory's name, a step and `latest` find the checkpoint below the root."""
    found = resolve_checkpoint(name, root=root)
    assert found.path == root / expected
    assert found.name == name
    assert found.format is CheckpointFormat.HUGGINGFACE
    assert found.step == int("".join(filter(str.isdigit, expected)))


def test_a_path_needs_no_root(root: Path) -> None:
    """A path is taken as it is, also when it lies below another root."""
    assert resolve_checkpoint(str(root / "step_500"), root=root / "nowhere").step == 500


def test_the_default_root_is_checkpoints(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a root, `./checkpoints` is searched."""
    monkeypatch.chdir(root.parent)
    assert resolve_checkpoint("step_500").path == Path("checkpoints/step_500")


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("step_10000", 10000),
        ("run-a_step-7", 7),
        ("0042", 42),
        ("ckpt.9", 9),
        ("llama-7", None),
        ("model", None),
        ("step_", None),
        ("7b", None),
    ],
)
def test_step_from_the_name(tmp_path: Path, name: str, step: int | None) -> None:
    """A number is a step only alone or after a word that says so."""
    assert step_of(tmp_path / name) == step


def test_step_from_the_trainer_state(tmp_path: Path) -> None:
    """Where the name has no step, the trainer's state tells it."""
    path = make_checkpoint(tmp_path / "final")
    (path / "trainer_state.json").write_text('{"global_step": 321}')
    assert resolve_checkpoint(str(path)).step == 321


def test_a_missing_checkpoint_lists_the_newest(tmp_path: Path) -> None:
    """The message names what is there by step, the eight newest of them."""
    for step in range(1, 12):
        make_checkpoint(tmp_path / f"step_{step}")
    with pytest.raises(UsageError, match=r"no checkpoint 'step_99'") as caught:
        resolve_checkpoint("step_99", root=tmp_path)
    assert str(caught.value).endswith(
        "step_4, step_5, step_6, step_7, step_8, step_9, step_10, step_11 and 3 older"
    )
    assert caught.value.exit_code == 2


def test_no_checkpoints_at_all(tmp_path: Path) -> None:
    """An empty or missing root is said, with the option that names another."""
    with pytest.raises(UsageError, match=r"there is none; give a path, or --checkpoint-root"):
        resolve_checkpoint("latest", root=tmp_path / "nowhere")


def test_an_ambiguous_step_names_both(root: Path) -> None:
    """Two directories of one step are not guessed between."""
    make_checkpoint(root / "checkpoint-500")
    with pytest.raises(UsageError, match=r"ambiguous .*(checkpoint-500, step_500)"):
        resolve_checkpoint("500", root=root)


def test_a_file_is_answered_with_its_directory(root: Path) -> None:
    """Naming the weights file leads to the directory."""
    with pytest.raises(UsageError, match=r"is a file: name the checkpoint's directory, .*step_500"):
        resolve_checkpoint(str(root / "step_500" / "model.safetensors"))


def test_a_directory_that_is_no_checkpoint(tmp_path: Path) -> None:
    """The files that were looked for are named."""
    with pytest.raises(UsageError, match=r"is no checkpoint: looked for config\.json, model\.safe"):
        resolve_checkpoint(str(tmp_path))


def test_a_folder_of_steps_means_its_newest(root: Path) -> None:
    """A folder above the steps of a training stands for the last of them."""
    assert resolve_checkpoint(str(root)).path == root / "checkpoint-10000"


def test_a_folder_of_checkpoints_without_steps(tmp_path: Path) -> None:
    """A folder above checkpoints whose steps nothing tells is answered with their names."""
    for name in ("base", "tuned"):
        make_checkpoint(tmp_path / name)
    with pytest.raises(UsageError, match=r"it holds checkpoints, name one of them; there are base"):
        resolve_checkpoint(str(tmp_path))


def test_pickled_weights_and_adapters_are_named(tmp_path: Path) -> None:
    """What codebench does not load is named, with the way out."""
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(UsageError, match="pickled weights only"):
        resolve_checkpoint(str(tmp_path))
    (tmp_path / "adapter_config.json").touch()
    with pytest.raises(UsageError, match="LoRA adapter: merge it"):
        resolve_checkpoint(str(tmp_path))


@pytest.mark.parametrize("n_bytes", [0, 5, 40, -1, -60])
def test_cut_weights(root: Path, n_bytes: int) -> None:
    """A weights file that is cut anywhere is damaged, and the exit code is that of the machine."""
    path = root / "step_500" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(EnvironmentProblem, match=r"damaged weights: .*still being written\?") as e:
        resolve_checkpoint("500", root=root)
    assert e.value.exit_code == 3
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, "wrong number of bytes"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "a gap at 4"),
        ({"a": {"dtype": "F32", "shape": [1]}}, "a header that is not valid"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, "its header promises 4"),
        (["a"], "a header that is not valid"),
    ],
)
def test_header_that_contradicts_itself(tmp_path: Path, header: object, found: str) -> None:
    """Shapes, offsets and file size must agree to the byte."""
    raw = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(8))
    with pytest.raises(EnvironmentProblem, match=found):
        read_safetensors_header(path)


def test_header_of_whole_weights(tmp_path: Path) -> None:
    """Names and shapes come back; an empty tensor is no gap."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes({"a": [2, 3], "none": [0, 3], "b": []}))
    assert read_safetensors_header(path).shapes == {"a": (2, 3), "none": (0, 3), "b": ()}


def test_missing_shards(root: Path) -> None:
    """Shards that the index names and the directory lacks are named."""
    path = root / "step_500"
    (path / "model.safetensors").rename(path / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(EnvironmentProblem, match=r"lacks 1 of 2 shards: model-00002-of-00002"):
        resolve_checkpoint("500", root=root)
    (path / "model-00002-of-00002.safetensors").write_bytes(safetensors_bytes({"b": [1]}))
    assert len(resolve_checkpoint("500", root=root).files.weights) == 2


def test_half_written_json(root: Path) -> None:
    """A configuration that ends in the middle is named."""
    (root / "step_500" / "config.json").write_text('{"model_type": ')
    with pytest.raises(EnvironmentProblem, match=r"config\.json is not valid JSON; still being"):
        resolve_checkpoint("500", root=root)


def test_missing_tokenizer(root: Path) -> None:
    """The files of a tokenizer that were looked for are named; one level up is good enough."""
    (root / "step_500" / "tokenizer.json").rename(root / "kept.json")
    with pytest.raises(UsageError, match=r"has no tokenizer: looked for tokenizer\.json, vocab"):
        resolve_checkpoint("500", root=root)
    (root / "kept.json").rename(root / "tokenizer.json")
    files = resolve_checkpoint("500", root=root).files
    assert files.tokenizer == (root / "tokenizer.json",)


def test_tokenizer_of_another_model(tmp_path: Path) -> None:
    """A tokenizer with ids beyond the embedding is refused; both numbers are named."""
    path = make_checkpoint(tmp_path / "a", n_rows=8, n_ids=9)
    with pytest.raises(UsageError, match=r"ids up to 8, the embedding has 8 rows"):
        resolve_checkpoint(str(path))


def test_padded_embedding_is_fine(tmp_path: Path) -> None:
    """An embedding larger than the vocabulary is padding."""
    files = resolve_checkpoint(str(make_checkpoint(tmp_path / "a", n_rows=64, n_ids=50))).files
    assert (files.n_tokenizer_ids, files.n_embedding_rows) == (50, 64)


def test_not_a_tokenizer(root: Path) -> None:
    """A tokenizer.json without a vocabulary is named."""
    (root / "step_500" / "tokenizer.json").write_text("{}")
    with pytest.raises(EnvironmentProblem, match="is not the file of a tokenizer"):
        resolve_checkpoint("500", root=root)


def test_fingerprint_follows_content(root: Path) -> None:
    """Equal files have equal fingerprints wherever they lie; one changed byte changes it."""
    first = resolve_checkpoint("500", root=root)
    second = resolve_checkpoint("1000", root=root)
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint_kind is FingerprintKind.FULL
    path = root / "step_500" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert resolve_checkpoint("500", root=root).fingerprint != first.fingerprint


def test_large_files_are_sampled(tmp_path: Path) -> None:
    """Above the limit the fingerprint says that it has read blocks, and still sees the ends."""
    path = tmp_path / "weights"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    before, kind = fingerprint([path], full_limit_bytes=1 << 20)
    assert kind is FingerprintKind.SAMPLED
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    assert fingerprint([path], full_limit_bytes=1 << 20)[0] != before


def test_list_checkpoints(root: Path) -> None:
    """Checkpoints are listed by step; other folders are not."""
    (root / "logs").mkdir()
    assert [entry.step for entry in list_checkpoints(root)] == [500, 1000, 10000]
    assert list_checkpoints(root / "nowhere") == ()


def test_resolving_is_light() -> None:
    """Finding a checkpoint imports no model library."""
    heavy = "{'torch', 'transformers', 'tokenizers', 'safetensors', 'numpy'}"
    code = (
        "import sys, codebench.checkpoints.resolve, codebench.sampling.opening, "
        f"codebench.sampling.replay; sys.exit(bool({heavy} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
