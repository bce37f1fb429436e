"""manifest.json: what a run is, written before its first sample.

The identity is what decides the texts of the samples and how they are judged. The same identity
gives the same run id, so the same command finds its run again. How many samples are drawn is not
part of it: a larger `--n-samples` only adds.
"""

import hashlib
import re
from datetime import UTC, datetime

import orjson
from pydantic import BaseModel, Field

from codebench import METRIC_VERSION, SCHEMA_VERSION, __version__
from codebench.prompts.model import Language
from codebench.sampling.completion import SamplingParams
from codebench.store.record import Text

Scalar = Text | int | float | bool | None
ISO_UTC = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"


def utc_now() -> str:
    """Return the present second, UTC, ISO 8601 with Z."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class _Described(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """A model whose field docstrings are the descriptions in the JSON Schema."""


class PromptSetInfo(_Described):
    """One prompt set of the run."""

    name: str
    """Name of the set."""

    version: str
    """Version of the set."""

    language: Language
    """Language of its programs."""

    n_prompts: int = Field(ge=0)
    """Number of prompts in the set."""

    sha256: str
    """SHA-256 (hex) of the file of the set."""

    notes: tuple[Text, ...] = ()
    """What a reader should know of the set: prompts left out, imports dropped."""


class CheckpointInfo(_Described):
    """The checkpoint that wrote the completions."""

    path: Text | None
    """Where it was found; null when completions came from a server or a file."""

    format: str
    """Layout of the checkpoint, as "huggingface"."""

    fingerprint: str
    """Hash of the weights and of the tokenizer: what the checkpoint is, wherever it lies."""

    step: int | None
    """Training step; null when neither name nor content tells."""


class Environment(_Described):
    """What the run ran on and with."""

    rustc: Text | None
    """Output of `rustc -vV` inside the sandbox; null without a Rust compiler."""

    python: Text | None
    """Version of the Python interpreter inside the sandbox."""

    image: Text | None
    """Container image and its digest; null where the sandbox has no images."""

    sandbox: str
    """Kind of sandbox: docker, bubblewrap or none."""

    isolation: str
    """How one sample is kept from the next: namespaces, or none."""

    n_slots: int = Field(ge=0)
    """Number of programs that could be compiled at the same time."""

    packages: dict[str, str]
    """Versions of codebench and of the packages that decide the numbers."""

    host: dict[str, Scalar]
    """The machine: system, processor, cores, memory."""

    git: dict[str, Scalar] | None
    """Commit of the directory that the run was started in; null outside a repository."""

    sampler: dict[str, Scalar]
    """The sampler's own facts: device, dtype, rows, determinism."""


class RunIdentity(_Described):
    """What decides the texts of the samples and their judgement."""

    schema_version: int = SCHEMA_VERSION
    """Version of the shape of samples.jsonl."""

    metric_version: int = METRIC_VERSION
    """Version of what the numbers mean."""

    checkpoint: str
    """Fingerprint of weights and tokenizer."""

    prompt_sets: dict[str, str]
    """SHA-256 (hex) of each prompt set, by name."""

    sampling: SamplingParams
    """How tokens are drawn."""

    seed: int
    """Seed of the run."""

    extract: str
    """How the program is cut out of a completion."""

    tests: bool = False
    """Whether the tests of the prompts are run."""

    profile: str = "codebench"
    """Whose rules cut, build and judge."""

    clippy: bool = False
    """Whether Rust programs that compile are linted."""

    options: dict[str, Scalar] = Field(default_factory=dict)
    """Whatever else changes the texts (chat template, dtype); empty when nothing does."""

    def run_id(self, checkpoint: str) -> str:
        """Return the name of the run: the checkpoint's name and 10 hex digits of the identity."""
        content = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", checkpoint).strip("-.")[-60:] or "checkpoint"
        return f"{slug}-{hashlib.sha256(content).hexdigest()[:10]}"

    def first_difference(self, other: "RunIdentity") -> str | None:
        """Return "FIELD is THIS here and THAT there" for the first field that differs, or None."""
        mine, theirs = _flat(self.model_dump(mode="json")), _flat(other.model_dump(mode="json"))
        for name in [*mine, *theirs]:
            if mine.get(name) != theirs.get(name):
                return f"{name} is {mine.get(name)!r} now and {theirs.get(name)!r} there"
        return None


class Manifest(_Described):
    """What a run is."""

    run_id: str
    """Name of the run; follows from the identity."""

    created: str = Field(pattern=ISO_UTC)
    """When the run was first started, UTC, ISO 8601 with Z."""

    codebench_version: str = __version__
    """Version of codebench that started it."""

    identity: RunIdentity
    """What decides the samples: a directory holds samples of one identity only."""

    checkpoint: Text
    """The checkpoint as the user named it."""

    checkpoint_info: CheckpointInfo
    """What was found under that name."""

    prompt_sets: tuple[PromptSetInfo, ...]
    """The prompt sets, in the order in which they were asked for."""

    environment: Environment
    """What the run was first started on and with."""


def _flat(value: object, name: str = "") -> dict[str, object]:
    """Return the leaves of nested dicts by dotted name."""
    if not isinstance(value, dict):
        return {name: value}
    leaves: dict[str, object] = {}
    for key, inner in value.items():
        leaves |= _flat(inner, f"{name}.{key}" if name else str(key))
    return leaves
