"""`codebench score`: judge samples that were made elsewhere; everything but the sampling."""

from collections.abc import Mapping
from typing import Any

from codebench.commands.perform import (
    asked_of,
    base_config,
    check_places,
    load_prompt_sets,
    perform,
)
from codebench.extract import ExtractMode
from codebench.plan import Plan, PlannedPrompt
from codebench.progress import open_progress
from codebench.run_config import RunConfig
from codebench.sampling.foreign import ForeignSamples, read_foreign
from codebench.source import samples_source


def score_command(options: Mapping[str, Any]) -> int:
    """Judge the samples of a file as the command line says; return the exit code.

    Raises:
        CodebenchError: if something is wrong; its message is one line.
    """
    asked, config = asked_of(options), base_config(options)
    prompt_sets = load_prompt_sets(config, download=options["download"])
    output = str(options["output"])
    foreign = read_foreign(options["file"], prompt_sets)
    check_places(output, options["run_dir"])
    progress = open_progress()
    for warning in foreign.warnings:
        progress.say(warning)
    planned = tuple(
        PlannedPrompt(
            prompt_set=s.name, prompt=prompt, n_samples=_count(foreign, s.name, prompt.id)
        )
        for s in prompt_sets
        for prompt in s.prompts
    )
    config = RunConfig.model_validate(
        {
            **config.model_dump(),
            "n_samples": sum(prompt.n_samples for prompt in planned),
            "extract": ExtractMode(options["extract"] or foreign.extract),
        }
    )
    plan = Plan(planned, config.seed)
    source = samples_source(options["file"], foreign)
    return perform(config, source, prompt_sets, plan, output, asked=asked)


def _count(foreign: ForeignSamples, prompt_set: str, prompt_id: str) -> int:
    return foreign.counts.get((prompt_set, prompt_id), 0)
