"""The data sets that have a name: where the file of each is published, at which revision.

Where `sha256` is known, a downloaded file must have it. That of HumanEval was taken from the file
itself; those of HumanEval+ and MBPP+ are the ones that several independent projects record for
these releases. The others are pinned by the revision in their address only: the first download
records the hash of what came (`cache.py`), and that is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from codebench.prompts.model import Language

_GITHUB = "https://raw.githubusercontent.com"
_MULTIPL_E = f"{_GITHUB}/nuprl/MultiPL-E/11b407bd2dd98c8204afea4d20043faf2145c20c/prompts"
_MBPP = f"{_GITHUB}/google-research/google-research"
_EVALPLUS = "https://github.com/evalplus"
_PACK = (
    "https://huggingface.co/datasets/bigcode/humanevalpack/resolve/"
    "48dbcf3b8935a9f4077f4f0622c9a931f5a453a5/data"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One data set of others."""

    name: str
    description: str
    language: Language
    n_prompts: int | None
    """Prompts that its published file gives; None where nobody has counted them for us."""

    file: str
    """Name of the file in the cache folder."""

    url: str
    """Where the file is, at a fixed revision."""

    version: str
    """That revision, as it is shown."""

    sha256: str | None = None
    """SHA-256 (hex) of the file's bytes; None where it is not known."""


_ALL = (
    DataSet(
        name="humaneval",
        description="HumanEval: functions from their docstrings.",
        language=Language.PYTHON,
        n_prompts=164,
        file="HumanEval.jsonl.gz",
        url=f"{_GITHUB}/openai/human-eval/463c980b59e818ace59f6f9803cd92c749ceae61"
        "/data/HumanEval.jsonl.gz",
        version="1",
        sha256="b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    ),
    DataSet(
        name="humaneval+",
        description="HumanEval+ of EvalPlus: the same tasks, many more inputs.",
        language=Language.PYTHON,
        n_prompts=164,
        file="HumanEvalPlus.jsonl.gz",
        url=f"{_EVALPLUS}/humanevalplus_release/releases/download/v0.1.10/HumanEvalPlus.jsonl.gz",
        version="v0.1.10",
        sha256="272720b90ac375502c8ed23cd791c2a93dfb22a911641a494da74a426c09f101",
    ),
    DataSet(
        name="mbpp",
        description="MBPP, test split: short programs from one sentence and a test.",
        language=Language.PYTHON,
        n_prompts=500,
        file="mbpp.jsonl",
        url=f"{_MBPP}/2251e8c67a7fe7d6348714967ee101080b28e956/mbpp/mbpp.jsonl",
        version="2251e8c6",
    ),
    DataSet(
        name="mbpp+",
        description="MBPP+ of EvalPlus: checked tasks of MBPP, many more inputs.",
        language=Language.PYTHON,
        n_prompts=378,
        file="MbppPlus.jsonl.gz",
        url=f"{_EVALPLUS}/mbppplus_release/releases/download/v0.2.0/MbppPlus.jsonl.gz",
        version="v0.2.0",
        sha256="af43697e8791c4c149bdfd6b489d8b5412507551ac20e28a439f650b8225db63",
    ),
    DataSet(
        name="mbpp-sanitized",
        description="MBPP, test split of the tasks that its authors checked by hand.",
        language=Language.PYTHON,
        n_prompts=257,
        file="sanitized-mbpp.json",
        url=f"{_MBPP}/dec705a28fea05552916c0b83c52f5f23609e8ee/mbpp/sanitized-mbpp.json",
        version="dec705a2",
    ),
    DataSet(
        name="humaneval-rs",
        description="HumanEval in Rust, translated by MultiPL-E.",
        language=Language.RUST,
        n_prompts=156,
        file="humaneval-rs-reworded.json",
        url=f"{_MULTIPL_E}/humaneval-rs-reworded.json",
        version="11b407bd",
    ),
    DataSet(
        name="mbpp-rs",
        description="MBPP in Rust, translated by MultiPL-E.",
        language=Language.RUST,
        n_prompts=None,
        file="mbpp-rs-reworded.json",
        url=f"{_MULTIPL_E}/mbpp-rs-reworded.json",
        version="11b407bd",
    ),
    DataSet(
        name="humaneval-x-rs",
        description="HumanEval in Rust, translated by hand for CodeGeeX.",
        language=Language.RUST,
        n_prompts=164,
        file="humaneval_rust.jsonl.gz",
        url=f"{_GITHUB}/THUDM/CodeGeeX/11bb54ebb2f82a60ce2bc631d5da5a54f3b2378e"
        "/codegeex/benchmark/humaneval-x/rust/data/humaneval_rust.jsonl.gz",
        version="11bb54eb",
    ),
    DataSet(
        name="humanevalpack-rs",
        description="HumanEvalPack in Rust: HumanEval-X, revised for OctoPack.",
        language=Language.RUST,
        n_prompts=164,
        file="humanevalpack-rust.jsonl",
        url=f"{_PACK}/rust/data/humanevalpack.jsonl",
        version="48dbcf3b",
    ),
    DataSet(
        name="humanevalpack-py",
        description="HumanEvalPack in Python: HumanEval with revised tests.",
        language=Language.PYTHON,
        n_prompts=164,
        file="humanevalpack-python.jsonl",
        url=f"{_PACK}/python/data/humanevalpack.jsonl",
        version="48dbcf3b",
    ),
)

DATA_SETS: Mapping[str, DataSet] = {data_set.name: data_set for data_set in _ALL}
