"""What a run is told to do, whatever its completions come from; checked once at the edge."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator

from codebench.extract import ExtractMode
from codebench.prompts.model import Profile
from codebench.results.tally import K_VALUES
from codebench.sampling.completion import SamplingParams
from codebench.sandbox.choose import SandboxKind


class RunConfig(BaseModel, frozen=True, extra="forbid"):
    """One run."""

    prompts: tuple[str, ...] = ("rust-basics",)
    """Names or files of prompt sets."""

    n_samples: int | None = Field(default=100, ge=1)
    """Samples in total, shared over the prompts."""

    samples_per_prompt: int | None = Field(default=None, ge=1)
    """Samples of each prompt; the other way to say n_samples."""

    limit: int | None = Field(default=None, ge=1)
    """Take only the first so many prompts of each set."""

    seed: int = Field(default=0, ge=0)
    """Seed of the run; each sample derives its own from it."""

    sampling: SamplingParams = SamplingParams()
    """How tokens are drawn."""

    extract: ExtractMode = ExtractMode.AUTO
    """How the program is cut out of a completion."""

    tests: bool = True
    """Whether the tests of the prompts are run."""

    profile: Profile = Profile.CODEBENCH
    """Whose rules cut, build and judge."""

    clippy: bool = False
    """Whether Rust programs that compile are linted."""

    k: tuple[int, ...] = K_VALUES
    """The k of pass@k and compile@k."""

    sandbox: SandboxKind = SandboxKind.AUTO
    """What isolates the programs."""

    n_slots: int | None = Field(default=None, ge=1)
    """Programs that are compiled at the same time; None is one per core."""

    timeout_s: float | None = Field(default=None, gt=0)
    """Wall time after which the run ends with what it has, in seconds."""

    run_dir: Path | None = None
    """Where the run lives; None is runs/<run_id>."""

    max_infra_errors: int = Field(default=0, ge=0)
    """Samples that we may fail to judge before the run counts as failed (exit 4)."""

    @model_validator(mode="after")
    def _one_way_to_count(self) -> Self:
        if (self.n_samples is None) == (self.samples_per_prompt is None):
            raise ValueError("give n_samples or samples_per_prompt, not both")
        return self
