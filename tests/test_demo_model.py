"""The demonstration model: what is committed loads, and what it learnt from is what we say."""

import re
import shutil
import subprocess
import sys
import tomllib
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINTS = ROOT / "checkpoints"
sys.path.insert(0, str(CHECKPOINTS))

from program_generator.corpus import documents, rust_document  # noqa: E402
from program_generator.python_programs import python_document  # noqa: E402
from program_generator.words import LANGUAGE_NAMES, declared_names  # noqa: E402

TRAINING_SEED = 0
SLICE = 4000
"""Documents of the training text that a test reads."""
SHORTEST = 20
"""Bodies with fewer characters, such as `a + b`, are everybody's and prove nothing."""


def steps() -> list[Path]:
    """The committed step directories, first step first."""
    found = [path for path in CHECKPOINTS.glob("step_*") if path.is_dir()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step_")))


def prompts() -> list[dict[str, str]]:
    """Every prompt of every set, as its file says it."""
    files = sorted((ROOT / "prompts").glob("*.toml"))
    return [prompt for file in files for prompt in tomllib.loads(file.read_text())["prompts"]]


def squeezed(text: str) -> str:
    """The text without any white space, comments of Rust and Python left out."""
    return re.sub(r"\s+", "", re.sub(r"//[^\n]*", "", text))


@pytest.fixture(scope="module")
def training_slice() -> list[str]:
    """The first documents that the training run sees."""
    return list(islice(documents(seed=TRAINING_SEED), SLICE))


def test_five_or_more_small_steps_are_committed() -> None:
    """At least five steps are there, and all files of all of them stay under 24 MB."""
    assert len(steps()) >= 5
    files = [file for step in steps() for file in step.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 24_000_000


def test_every_step_holds_a_model_of_one_to_four_million_parameters() -> None:
    """Configuration and weights of every step agree, and their size is as promised."""
    for step in steps():
        config = AutoConfig.from_pretrained(step)
        with safe_open(step / "model.safetensors", framework="pt") as weights:
            names = list(weights.keys())
            shapes = {name: weights.get_slice(name).get_shape() for name in names}
        count = 0
        for rows, *columns in shapes.values():
            count += rows * (columns[0] if columns else 1)
        assert 1_000_000 <= count <= 4_000_000
        assert config.model_type == "llama"
        assert shapes["model.embed_tokens.weight"] == [config.vocab_size, config.hidden_size]


def test_the_tokenizer_gives_source_text_back_exactly(training_slice: list[str]) -> None:
    """Encoding and decoding changes no byte, for learnt text and for text never seen."""
    tokenizer = AutoTokenizer.from_pretrained(steps()[-1])
    strange = [
        'fn f() {\n\tlet é = "漢字";\r\n}',
        "  a\n\n\n   b ",
        "x" * 300,
        "<|end|> |of text|>",
    ]
    for text in [*training_slice[:200], *strange]:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_tokenizer_ends_documents_with_the_token_of_the_config() -> None:
    """The end-of-text token is one token, and the configuration names its id."""
    for step in steps():
        tokenizer, config = AutoTokenizer.from_pretrained(step), AutoConfig.from_pretrained(step)
        assert tokenizer.encode("<|endoftext|>") == [config.eos_token_id]
        assert tokenizer.eos_token_id == config.eos_token_id


def test_the_tokens_of_a_prompt_do_not_depend_on_what_follows() -> None:
    """A prompt keeps its tokens when its reference follows, so sampling starts as training did."""
    tokenizer = AutoTokenizer.from_pretrained(steps()[-1])
    for prompt in prompts():
        if prompt["prompt"].endswith("{"):
            start = tokenizer.encode(prompt["prompt"])
            whole = tokenizer.encode(prompt["prompt"] + "\n    x\n}")
            assert whole[: len(start)] == start, prompt["id"]


def test_the_generator_repeats_itself() -> None:
    """The same seed gives the same documents, another seed others."""
    first, again, other = (list(islice(documents(seed=s), 300)) for s in (3, 3, 4))
    assert first == again
    assert first != other


def test_no_generated_name_is_asked_for_by_a_prompt() -> None:
    """The finite set of names that the generator can declare holds no item of a prompt set."""
    asked = {re.split(r"[\s<(]+", prompt["item"])[-1] for prompt in prompts() if "item" in prompt}
    heads = re.compile(r"(?:fn|def|struct|enum|trait|macro_rules!) (\w+)")
    asked |= {name for prompt in prompts() for name in heads.findall(prompt["prompt"])}
    assert len(asked) >= 16
    assert not (asked - LANGUAGE_NAMES) & declared_names()


def test_generated_programs_declare_only_names_of_the_lists(training_slice: list[str]) -> None:
    """Every function, type, trait, macro and module in the text carries a name of `words.py`."""
    heads = re.compile(r"\b(?:fn|def|struct|enum|trait|macro_rules!|mod|(?<!\*)const) (?!fn )(\w+)")
    known = declared_names() | LANGUAGE_NAMES
    for text in training_slice:
        declared = set(heads.findall(re.sub(r"///.*|\"[^\"\n]*\"", "", text)))
        assert declared <= known, declared - known


def test_no_reference_is_in_the_training_text(training_slice: list[str]) -> None:
    """No reference occurs in the slice, white space and comments aside."""
    text = "\0".join(squeezed(document) for document in training_slice)
    for prompt in prompts():
        body = squeezed(prompt["reference"]).rstrip("}")
        if len(body) >= SHORTEST:
            assert body not in text, prompt["id"]
        assert squeezed(prompt["prompt"] + prompt["reference"]) not in text, prompt["id"]


def rustc() -> str | None:
    """The compiler of the default toolchain, or None when there is none that answers."""
    found = shutil.which("rustc")
    if found is None:
        return None
    asked = [found, "--print", "sysroot"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    binary = Path(answer.stdout.strip()) / "bin" / "rustc"
    return str(binary) if answer.returncode == 0 and binary.is_file() else None


def test_generated_rust_compiles(tmp_path: Path) -> None:
    """All of 200 random Rust documents build together, codegen included, each in its own module."""
    compiler = rustc()
    if compiler is None:
        pytest.skip("no rustc on this machine")
    rng = Random(11)
    modules = [f"pub mod m{i} {{\n{rust_document(rng)}\n}}" for i in range(200)]
    source = tmp_path / "batch.rs"
    source.write_text("#![allow(warnings)]\n" + "\n".join(modules))
    flags = ["--edition=2021", "--crate-type=lib", "-o", str(tmp_path / "batch.rlib")]
    built = subprocess.run(
        [compiler, *flags, str(source)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[:2000]


def test_generated_python_compiles() -> None:
    """Every one of 300 random Python documents compiles to byte code."""
    rng = Random(12)
    for _ in range(300):
        compile(python_document(rng), "<generated>", "exec")
