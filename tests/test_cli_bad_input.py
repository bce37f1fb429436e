"""Bad input as a user meets it: one line that names the thing and the fix, and the exit code.

After each refusal stdout is empty, there is no traceback and the folder that the command was given
in is as it was. Permissions do not bind root, so "cannot be written" is shown with `/proc`, with a
file where a folder should be, and with small file systems in a mount namespace of their own.
"""

import fcntl
import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from codebench.cli import main

WIDTH, N_IDS = 16, 257
NO_DAEMON = "unix:///nonexistent/docker.sock"
PROMPT_SET = """schema_version = 1
name = "mine"
version = "1"
language = "rust"
description = "one prompt"

[[prompts]]
id = "one"
category = "basics"
prompt = "fn one() -> i32 {"
item = "fn one"
reference = " 1 }"
wrong = " 2 }"
tests = ["assert_eq!(one(), 1);"]
"""


def write_weights(path: Path) -> None:
    """Write the weights of a Llama with one layer of a few thousand numbers."""
    noise = np.random.default_rng(0)
    layer = "model.layers.0."
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (N_IDS, WIDTH),
        "model.norm.weight": (WIDTH,),
        f"{layer}input_layernorm.weight": (WIDTH,),
        f"{layer}post_attention_layernorm.weight": (WIDTH,),
        **{f"{layer}mlp.{name}_proj.weight": (WIDTH, WIDTH) for name in ("gate", "up", "down")},
        **{f"{layer}self_attn.{name}_proj.weight": (WIDTH, WIDTH) for name in "qkvo"},
    }
    tensors = {name: noise.normal(size=shape).astype("float32") for name, shape in shapes.items()}
    save_file(tensors, path, metadata={"format": "pt"})


def write_tokenizer(path: Path, *, n_extra: int = 0) -> None:
    """Write a byte-level tokenizer: one id a byte, an end token, and ids that nothing needs."""
    words = ["<|end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words += [f"<|extra{i}|>" for i in range(n_extra)]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(path))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A whole checkpoint, for the test to damage."""
    path = tmp_path / "checkpoints" / "step_7"
    path.mkdir(parents=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": N_IDS,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": 0,
    }
    (path / "config.json").write_text(json.dumps(config))
    write_weights(path / "model.safetensors")
    write_tokenizer(path / "tokenizer.json")
    return path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command is given in an empty folder, without options from the environment."""
    for name in [name for name in os.environ if name.startswith("CODEBENCH_RUN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # the sampler would set it for all that follow
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with no bubblewrap, no Rust and no Docker daemon."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("DOCKER_HOST", NO_DAEMON)
    yield
    gc.collect()  # docker leaves the socket of a refused connection to the collector


def check(exit_code: int, stdout: str, stderr: str, *, expected: int, begun: bool) -> str:
    """Check that a command refused in one line, and return it; `begun`: notes may stand before."""
    assert exit_code == expected, stderr
    assert stdout == ""
    *notes, line = stderr.splitlines()
    assert line.startswith("codebench: ")
    assert begun or not notes
    assert "Traceback" not in stderr
    assert "internal error" not in stderr
    assert not any(note.startswith("codebench: ") for note in notes)
    return line


def refuse(*words: str | Path, code: int = 2, begun: bool = False) -> str:
    """Give a command that is refused, and return its one line."""
    before = sorted(Path.cwd().rglob("*"))
    result = CliRunner().invoke(main, [str(word) for word in words], prog_name="codebench")
    assert sorted(Path.cwd().rglob("*")) == before
    return check(result.exit_code, result.stdout, result.stderr, expected=code, begun=begun)


def run_words(checkpoint: Path, *more: str | Path) -> list[str]:
    """Return the words of a run of two samples of four tokens in bubblewrap."""
    words = ["run", "--checkpoint", str(checkpoint), "--sandbox", "bubblewrap", "--device", "cpu"]
    words += ["--limit", "2", "--n-samples", "2", "--max-tokens", "4", "--slots", "1"]
    return [*words, *map(str, more)]


def run_it(checkpoint: Path, *more: str | Path) -> Result:
    """Do that run in this process."""
    return CliRunner().invoke(main, run_words(checkpoint, *more), prog_name="codebench")


def test_missing_checkpoint(checkpoint: Path) -> None:
    """What is there instead is listed."""
    line = refuse("run", "--checkpoint", "step_8", "--checkpoint-root", checkpoint.parent)
    assert "'step_8'" in line
    assert "there are step_7" in line


def test_no_checkpoint_at_all() -> None:
    """Where there is none, the way to name one is said."""
    line = refuse("run", "--checkpoint", "step_8")
    assert "there is none; give a path, or --checkpoint-root" in line


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    """The files that were looked for are named."""
    folder = tmp_path / "empty"
    folder.mkdir()
    line = refuse("run", "--checkpoint", folder)
    assert f"{folder} is no checkpoint" in line
    assert "config.json" in line
    assert "model.safetensors" in line


def test_the_folder_above_the_checkpoints(checkpoint: Path) -> None:
    """The checkpoints inside it are offered where no step says which is the newest."""
    checkpoint.rename(checkpoint.parent / "mine")
    assert "name one of them; there are mine" in refuse("run", "--checkpoint", checkpoint.parent)


def test_corrupt_weights(checkpoint: Path) -> None:
    """Bytes that are no safetensors are called damaged, with the file and what to do."""
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(b"\xff" * 4096)
    line = refuse("run", "--checkpoint", checkpoint, code=3)
    assert f"damaged weights: {weights}" in line
    assert "copy it again" in line


def test_half_written_weights(checkpoint: Path) -> None:
    """A file that is shorter than its header promises may still be being written."""
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    line = refuse("run", "--checkpoint", checkpoint, code=3)
    assert str(weights) in line
    assert "still being written? wait" in line


def test_missing_tokenizer(checkpoint: Path) -> None:
    """The files that could hold it are named, and how to save it."""
    (checkpoint / "tokenizer.json").unlink()
    line = refuse("run", "--checkpoint", checkpoint)
    assert f"{checkpoint} has no tokenizer" in line
    assert "tokenizer.json" in line
    assert "save_pretrained" in line


def test_a_tokenizer_of_another_model(checkpoint: Path) -> None:
    """A vocabulary larger than the embedding is refused with both numbers."""
    write_tokenizer(checkpoint / "tokenizer.json", n_extra=10)
    line = refuse("run", "--checkpoint", checkpoint)
    assert f"ids up to {N_IDS + 9}" in line
    assert f"{N_IDS} rows" in line


def test_unknown_prompt_set(checkpoint: Path) -> None:
    """The known sets are listed."""
    line = refuse("run", "--checkpoint", checkpoint, "--prompts", "rust-basic")
    assert "unknown prompt set 'rust-basic'" in line
    assert all(name in line for name in ("rust-basics", "rust-extended", "python-basics"))


def test_unknown_prompt() -> None:
    """The prompts of the set are listed."""
    line = refuse("prompts", "show", "rust-basics", "fibonacci")
    assert "no prompt 'fibonacci'" in line
    assert "factorial" in line


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('version = "1"', 'version = "1', "line 3: not valid TOML"),
        ("[[prompts]]", '[[prompts]]\nctx = ""', "prompt 'one': unknown key 'ctx'"),
        ('version = "1"', 'version = "1"\nauthor = "me"', "unknown key 'author'"),
        ('prompt = "fn one() -> i32 {"', "", "prompt 'one': key 'prompt': missing"),
    ],
)
def test_broken_prompt_set(checkpoint: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    """A prompt set of the user's is refused with its file and the line, or the prompt and key."""
    path = tmp_path / "mine.toml"
    path.write_text(PROMPT_SET.replace(old, new, 1))
    line = refuse("run", "--checkpoint", checkpoint, "--prompts", path)
    assert str(path) in line
    assert said in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--n-samples", "0"),
        ("--n-samples", "-5"),
        ("--n-samples", "many"),
        ("--samples-per-prompt", "0"),
        ("--limit", "0"),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
        ("--temperature", "-1"),
        ("--temperature", "nan"),
        ("--temperature", "inf"),
        ("--top-k", "-1"),
        ("--top-p", "0"),
        ("--top-p", "1.1"),
        ("--top-p", "nan"),
        ("--max-tokens", "0"),
        ("--batch-size", "0"),
        ("--slots", "0"),
        ("--timeout", "soon"),
        ("--timeout", "0"),
        ("--timeout", "-5s"),
        ("--timeout", "5 days"),
        ("--timeout", "inf"),
        ("--device", "gpu"),
        ("--device", "cuda:x"),
        ("--sandbox", "chroot"),
        ("--extract", "all"),
    ],
)
def test_a_value_that_is_out_of_range(checkpoint: Path, option: str, value: str) -> None:
    """The option and the value are named, and where its help is."""
    line = refuse("run", "--checkpoint", checkpoint, option, value)
    assert f"'{option}'" in line
    assert value.removeprefix("+") in line
    assert "`codebench run --help`" in line


def test_two_ways_to_count(checkpoint: Path) -> None:
    """--n-samples and --samples-per-prompt exclude each other."""
    words = ("--n-samples", "10", "--samples-per-prompt", "2")
    line = refuse("run", "--checkpoint", checkpoint, *words)
    assert "--n-samples and --samples-per-prompt" in line
    assert "give one" in line


def test_one_prompt_set_twice(checkpoint: Path) -> None:
    """Two sets of one name cannot be told apart in the results."""
    words = ("--prompts", "rust-basics", "--prompts", "rust-basics")
    assert "two prompt sets are called 'rust-basics'" in refuse(
        "run", "--checkpoint", checkpoint, *words
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--wrong"], "'--wrong'"),
        (["bench"], "No such command 'bench' (see `codebench --help`)"),
        (["run"], "say what to sample from: --checkpoint NAME, or --server URL --model NAME"),
        (
            ["run", "--checkpoint", "x", "--server", "http://127.0.0.1:1", "--model", "m"],
            "say what to sample from: --checkpoint NAME, or --server URL --model NAME",
        ),
        (
            ["run", "--server", "http://127.0.0.1:1"],
            "--server needs --model NAME: the server's name of the model",
        ),
        (
            ["run", "--checkpoint", "x", "--set", "softcap"],
            "--set softcap: write it as NAME=VALUE",
        ),
        (["run", "--n-sample", "3"], "'--n-sample'"),
        (["run", "--checkpoint"], "'--checkpoint' requires an argument"),
        (["run", "--checkpoint", "x", "y"], "unexpected extra argument (y)"),
        (["prompts", "show"], "'NAME'"),
        (["prompts", "shows"], "'shows'"),
    ],
)
def test_wrong_words(words: list[str], said: str) -> None:
    """A word that is no command or option, and one that is missing, is named."""
    assert said in refuse(*words)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("auto", "apt-get install bubblewrap"),
        ("docker", "systemctl start docker"),
        ("bubblewrap", "apt-get install bubblewrap"),
    ],
)
def test_no_sandbox(checkpoint: Path, kind: str, fix: str) -> None:
    """Without a sandbox nothing is sampled, and the line that installs one is said."""
    words = ("run", "--checkpoint", checkpoint, "--sandbox", kind, "--dry-run")
    assert fix in refuse(*words, code=3)


@pytest.mark.usefixtures("nothing_installed")
def test_no_rustc(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bubblewrap without a Rust toolchain says how to get one."""
    bwrap = tmp_path / "bin" / "bwrap"
    bwrap.parent.mkdir()
    bwrap.write_text("#!/bin/sh\nexit 1\n")
    bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", str(bwrap.parent))
    words = ("run", "--checkpoint", checkpoint, "--sandbox", "bubblewrap", "--dry-run")
    line = refuse(*words, code=3)
    assert "no rustc on this machine" in line
    assert "apt-get install rustc" in line


@pytest.mark.slow
def test_no_sandbox_ends_a_real_run(checkpoint: Path, here: Path) -> None:
    """As a process: exit code 3, an empty stdout, one line in the end, no run directory."""
    env = {**os.environ, "PATH": "", "DOCKER_HOST": NO_DAEMON, "OMP_NUM_THREADS": "1"}
    words = ["run", "--checkpoint", str(checkpoint), "--output", "-"]
    answer = subprocess.run(
        [sys.executable, "-m", "codebench", *words],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    line = check(answer.returncode, answer.stdout, answer.stderr, expected=3, begun=True)
    assert "no sandbox on this machine" in line
    assert "apt-get install bubblewrap" in line
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (".", "is a folder: name a file in it"),
        ("missing/results.json", "there is no folder missing: make it first"),
        ("/proc/results.json", "cannot write the output at /proc/results.json"),
    ],
)
def test_an_output_that_cannot_be_written(checkpoint: Path, output: str, said: str) -> None:
    """The output is tried before anything slow, and the path is named."""
    assert said in refuse("run", "--checkpoint", checkpoint, "--output", output, code=3)


def test_an_output_below_a_file(checkpoint: Path) -> None:
    """A weights file is no folder."""
    output = checkpoint / "config.json" / "results.json"
    assert str(output) in refuse("run", "--checkpoint", checkpoint, "--output", output, code=3)


@pytest.mark.bubblewrap
def test_no_gpu(checkpoint: Path) -> None:
    """A GPU that was asked for by name and is not there ends the run with the way out."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    line = refuse(*run_words(checkpoint, "--device", "cuda"), code=3, begun=True)
    assert "no CUDA GPU works here; use --device cpu" in line


@pytest.mark.bubblewrap
def test_a_run_directory_that_is_a_file(checkpoint: Path, tmp_path: Path) -> None:
    """A path that cannot be a folder is named with another way."""
    path = checkpoint / "config.json" / "run"
    line = refuse(*run_words(checkpoint, "--run-dir", path), code=3, begun=True)
    assert str(path) in line
    assert "--run-dir" in line


@pytest.mark.bubblewrap
def test_a_run_directory_in_use(checkpoint: Path, tmp_path: Path) -> None:
    """The process that uses it is named by its number."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    with (run_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        line = refuse(*run_words(checkpoint, "--run-dir", run_dir), begun=True)
    assert f"another codebench run (pid 4711) is using {run_dir}" in line
    assert [path.name for path in run_dir.iterdir()] == ["lock"]


@pytest.mark.bubblewrap
def test_a_run_directory_of_another_run(checkpoint: Path, here: Path, tmp_path: Path) -> None:
    """What differs is said, the samples that are there stay, and no results are written."""
    run_dir = tmp_path / "run"
    assert run_it(checkpoint, "--run-dir", run_dir, "--seed", "1").exit_code == 0
    before = {path.name: path.read_bytes() for path in run_dir.iterdir() if path.name != "lock"}
    (here / "benchmark_results.json").unlink()
    line = refuse(*run_words(checkpoint, "--run-dir", run_dir, "--seed", "2"), begun=True)
    assert "seed is 2 now and 1 there" in line
    assert {p.name: p.read_bytes() for p in run_dir.iterdir() if p.name != "lock"} == before


def test_a_full_device_as_stdout() -> None:
    """Numbers that cannot be printed end with the system's reason."""
    with Path("/dev/full").open("wb") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "codebench", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    line = check(answer.returncode, "", answer.stderr, expected=3, begun=False)
    assert "No space left on device" in line


@pytest.mark.bubblewrap
def test_a_full_device_as_output(checkpoint: Path, tmp_path: Path) -> None:
    """Results that cannot be written in the end are still in the run directory."""
    run_dir = tmp_path / "run"
    words = run_words(checkpoint, "--run-dir", run_dir, "--output", "/dev/full")
    line = refuse(*words, code=3, begun=True)
    assert "cannot write at /dev/full: No space left on device; free some space" in line
    assert json.loads((run_dir / "results.json").read_bytes())["total_samples"] == 2


def mounted(mount: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run codebench where `folder` is a file system of its own; skip where mounting is refused."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare on this machine")
    inside = ["unshare", "--mount", "sh", "-c", f'{mount} "$0" || exit 99; exec "$@"', str(folder)]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    return subprocess.run(
        [*inside, sys.executable, "-m", "codebench", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_read_only_output(checkpoint: Path, tmp_path: Path) -> None:
    """A read-only file system is told before anything slow, also to root."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = ("run", "--checkpoint", str(checkpoint), "--output", str(folder / "results.json"))
    answer = mounted("mount -t tmpfs -o ro none", folder, *words)
    line = check(answer.returncode, answer.stdout, answer.stderr, expected=3, begun=False)
    assert str(folder / "results.json") in line


@pytest.mark.slow
@pytest.mark.bubblewrap
def test_a_full_disk(checkpoint: Path, tmp_path: Path, here: Path) -> None:
    """A run directory on a full disk ends the run with what to do; no results are claimed."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = run_words(checkpoint, "--run-dir", folder / "run", "--n-samples", "60")
    answer = mounted("mount -t tmpfs -o size=32k none", folder, *words)
    line = check(answer.returncode, answer.stdout, answer.stderr, expected=3, begun=True)
    assert "No space left on device; free some space and run the same command again" in line
    assert list(here.iterdir()) == []


def test_debug_shows_where() -> None:
    """--debug prints the traceback before the line, with the same exit code."""
    words = ["--debug", "run", "--checkpoint", "step_8"]
    result = CliRunner().invoke(main, words, prog_name="codebench")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Traceback (most recent call last)")
    assert result.stderr.splitlines()[-1].startswith("codebench: no checkpoint 'step_8'")
