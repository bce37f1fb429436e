"""Where the completions of a run come from: a checkpoint, a server, or a file of samples."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.sampling.completion import Sampler, SamplingParams
from codebench.sampling.replay import ReplaySampler
from codebench.store.manifest import CheckpointInfo

if TYPE_CHECKING:  # a run pays for the source that it has, not for the others
    from codebench.sampling.foreign import ForeignSamples
    from codebench.sampling.server.sampler import ServerOptions

Notify = Callable[[str], None]
"""Takes one line for the user's stderr."""


class CheckpointOptions(BaseModel, frozen=True, extra="forbid"):
    """Which checkpoint, and what the user says about it."""

    name: str
    """As typed: a path, `step_10000`, `10000`, `latest`."""

    root: Path | None = None
    """Folder that names are looked up in; None is ./checkpoints."""

    tokenizer: Path | None = None
    """A tokenizer file, or a folder that holds one, instead of the one found."""

    loader: str | None = None
    """`package.module:function` that opens it, whatever its format is."""

    settings: Mapping[str, str] = Field(default_factory=dict)
    """What the user decides where the files leave it open."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    batch_size: int | None = Field(default=None, ge=1)
    """Rows that decode together; None lets the sampler choose."""

    chat: bool = False
    """Ask through the tokenizer's chat template instead of letting the prompt be continued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the completions of a run come from; found and checked, not opened."""

    name: str
    """What results.json says under `checkpoint`."""

    slug: str
    """What the name of the run begins with."""

    info: CheckpointInfo
    open: Callable[[Notify], Sampler]
    """Open the sampler: the slow part."""

    decides_texts: tuple[str, ...] = field(default=())
    """Facts of the sampler that change what it writes, beside checkpoint and parameters."""


def checkpoint_source(options: CheckpointOptions, params: SamplingParams) -> Source:
    """Find a checkpoint and check that it is whole; imports neither torch nor transformers.

    Raises:
        UsageError: if there is none, it is ambiguous, or it does not fit its tokenizer.
        EnvironmentProblem: if its files are incomplete, damaged or not readable.
    """
    checkpoint = resolve_checkpoint(
        options.name,
        root=options.root,
        tokenizer=options.tokenizer,
        settings=options.settings,
        loader=options.loader,
    )

    def open_it(notify: Notify) -> Sampler:
        from codebench.sampling.opening import open_sampler

        sampler = open_sampler(
            checkpoint,
            params,
            device=options.device,
            batch_size=options.batch_size,
            chat=options.chat,
            notify=notify,
        )
        facts = sampler.describe()
        notify(f"sampling on {facts['device']} in {facts['dtype']}, {facts['rows']} rows")
        return sampler

    info = CheckpointInfo(
        path=str(checkpoint.path),
        format=checkpoint.format,
        fingerprint=checkpoint.fingerprint,
        step=checkpoint.step,
    )
    return Source(
        name=str(checkpoint.path),
        slug=checkpoint.path.name,
        info=info,
        open=open_it,
        decides_texts=("dtype", "chat", "chat_template"),
    )


def server_source(options: "ServerOptions", params: SamplingParams) -> Source:
    """Name a model behind a server; nothing is asked of it yet.

    A server cannot say what its weights are: kind and model stand for them in the fingerprint.
    """

    def open_it(notify: Notify) -> Sampler:
        from codebench.sampling.server.opening import open_server_sampler

        sampler = open_server_sampler(options, params, notify=notify)
        facts = sampler.describe()
        notify(f"sampling from {facts['server']}, {facts['concurrency']} requests at a time")
        return sampler

    stands_for = f"server|{options.kind}|{options.model}"
    info = CheckpointInfo(
        path=None,
        format="server",
        fingerprint=hashlib.sha256(stands_for.encode()).hexdigest(),
        step=None,
    )
    return Source(
        name=options.model,
        slug=options.model,
        info=info,
        open=open_it,
        decides_texts=(
            "server_kind",
            "model",
            "endpoint",
            "dialect",
            "parameters_ignored",
            "chat_instruction",
            "num_ctx",
        ),
    )


def samples_source(path: Path, foreign: "ForeignSamples") -> Source:
    """Hand out samples that were made elsewhere."""
    info = CheckpointInfo(
        path=str(path),
        format=foreign.format,
        fingerprint=foreign.fingerprint,
        step=None,
    )
    return Source(
        name=str(path),
        slug=path.name.partition(".")[0],
        info=info,
        open=lambda _notify: ReplaySampler(foreign.completions),
    )
