"""Open what a run needs, the slow things side by side, and hand it to the loop in `run.py`."""

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from codebench.analysis.client import Analyzer
from codebench.grading import Grader
from codebench.judge import Judge
from codebench.languages.clippy import require_clippy
from codebench.machine import describe_environment
from codebench.oracle import Oracle
from codebench.plan import Plan
from codebench.progress import Progress
from codebench.prompts.model import PromptSet
from codebench.results.aggregate import Aggregator
from codebench.run import Finished, Run, Tools
from codebench.run_config import RunConfig
from codebench.sampling.completion import Sampler
from codebench.sandbox.choose import open_sandbox
from codebench.sandbox.pool import SlotPool
from codebench.sandbox.turns import MOST_PUT_OFF
from codebench.source import Source
from codebench.store.manifest import (
    Environment,
    Manifest,
    PromptSetInfo,
    RunIdentity,
    utc_now,
)
from codebench.store.run_directory import RunDirectory

_NO_SANDBOX_S = 0.3
"""A machine without any sandbox has said so by then, seconds."""


def default_run_dir(run_id: str) -> Path:
    """Return where a run lives when nobody says otherwise."""
    return Path("runs") / run_id


def identify(
    config: RunConfig, source: Source, prompt_sets: Sequence[PromptSet], sampler: Sampler
) -> RunIdentity:
    """Return what decides the texts of the samples and their judgement."""
    facts = sampler.describe()
    return RunIdentity(
        checkpoint=source.info.fingerprint,
        prompt_sets={prompt_set.name: prompt_set.sha256 for prompt_set in prompt_sets},
        sampling=config.sampling,
        seed=config.seed,
        extract=config.extract,
        tests=config.tests,
        profile=config.profile,
        clippy=config.clippy,
        options={name: facts[name] for name in source.decides_texts if name in facts},
    )


def execute(
    config: RunConfig,
    source: Source,
    prompt_sets: Sequence[PromptSet],
    plan: Plan,
    progress: Progress,
) -> Finished:
    """Run to the end and write results.json into the run's directory.

    Raises:
        CodebenchError: if the run cannot start or go on; what was judged is kept.
        KeyboardInterrupt: after everything judged so far is on disk.
    """
    started = time.monotonic()
    progress.say(
        f"{source.name}: {plan.n_samples} samples over {len(plan.prompts)} prompts, loading"
    )
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        opening = executor.submit(
            open_sandbox, config.sandbox, n_slots=config.n_slots, notify=progress.say
        )
        stack.callback(_close_when_open, opening)
        analyzer = stack.enter_context(Analyzer())
        asked = _asked(plan, prompt_sets)
        grading = executor.submit(_open_grader, config, asked, opening, analyzer, progress)
        sampler = _open_sampler(source, progress, grading)
        grader, sandbox = grading.result(), opening.result()
        environment = describe_environment(sandbox.info(), dict(sampler.describe()))
        identity = identify(config, source, prompt_sets, sampler)
        manifest = _manifest(identity, source, prompt_sets, environment)
        path = config.run_dir or default_run_dir(manifest.run_id)
        directory = stack.enter_context(RunDirectory.open(path, manifest))
        tools = Tools(
            sampler=sampler,
            judge=Judge(
                sandbox, analyzer, extract=config.extract, grader=grader, clippy=config.clippy
            ),
            n_workers=sandbox.info().n_slots + MOST_PUT_OFF,
            directory=directory,
            progress=progress,
            close_sandbox=sandbox.close,
        )
        aggregator = Aggregator(
            asked,
            runs_tests=config.tests,
            k_values=config.k,
            shape_of=lambda text, language, start: (
                analyzer.measure(text, language, written_from=start).shape
            ),
        )
        run = Run(config, plan, tools, aggregator=aggregator, started=started)
        return run.finish(environment)


def _close_when_open(opening: "Future[SlotPool]") -> None:
    if not opening.cancel() and opening.exception() is None:
        opening.result().close()


def _open_grader(
    config: RunConfig,
    prompt_sets: Sequence[PromptSet],
    opening: "Future[SlotPool]",
    analyzer: Analyzer,
    progress: Progress,
) -> Grader | None:
    """Prove the prompts in the sandbox, once it is open; None where no tests are asked for."""
    sandbox = opening.result()
    if config.clippy:
        require_clippy(sandbox)
    if not config.tests:
        return None
    expected = Oracle(sandbox, analyzer).require(prompt_sets, progress.say)
    return Grader(sandbox, analyzer, expected)


def _open_sampler(source: Source, progress: Progress, grading: "Future[Grader | None]") -> Sampler:
    wait([grading], timeout=_NO_SANDBOX_S)
    if grading.done():
        grading.result()  # no sandbox, or a set that proves nothing: say so before torch is loaded
    return source.open(progress.say)


def _manifest(
    identity: RunIdentity,
    source: Source,
    prompt_sets: Sequence[PromptSet],
    environment: Environment,
) -> Manifest:
    return Manifest(
        run_id=identity.run_id(source.slug),
        created=utc_now(),
        identity=identity,
        checkpoint=source.name,
        checkpoint_info=source.info,
        prompt_sets=tuple(
            PromptSetInfo(
                name=prompt_set.name,
                version=prompt_set.version,
                language=prompt_set.language,
                n_prompts=len(prompt_set.prompts),
                sha256=prompt_set.sha256,
                notes=prompt_set.notes,
            )
            for prompt_set in prompt_sets
        ),
        environment=environment,
    )


def _asked(plan: Plan, prompt_sets: Sequence[PromptSet]) -> tuple[PromptSet, ...]:
    """Return the sets, cut to the prompts that the plan asks."""
    asked = {(planned.prompt_set, planned.prompt.id) for planned in plan.prompts}

    def cut(whole: PromptSet) -> PromptSet:
        prompts = tuple(prompt for prompt in whole.prompts if (whole.name, prompt.id) in asked)
        return whole.model_copy(update={"prompts": prompts})

    return tuple(map(cut, prompt_sets))
