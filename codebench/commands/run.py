"""`codebench run`: check everything that can be wrong before anything slow, run, show, write."""

from collections.abc import Mapping
from typing import Any

from codebench.commands.perform import (
    asked_of,
    base_config,
    check_places,
    load_prompt_sets,
    perform,
)
from codebench.errors import UsageError
from codebench.extract import ExtractMode
from codebench.plan import Plan, make_plan
from codebench.progress import open_progress
from codebench.prompts import PromptSet
from codebench.run_config import RunConfig
from codebench.sampling.completion import SamplingParams
from codebench.source import CheckpointOptions, Source, checkpoint_source, server_source


def run_command(options: Mapping[str, Any]) -> int:
    """Run as the command line says; return the exit code.

    Raises:
        CodebenchError: if something is wrong; its message is one line.
    """
    config = _config(options)
    output = str(options["output"])
    asked = asked_of(options)
    prompt_sets = load_prompt_sets(config, download=options["download"])
    plan = make_plan(
        prompt_sets,
        n_samples=config.n_samples,
        samples_per_prompt=config.samples_per_prompt,
        limit=config.limit,
        seed=config.seed,
    )
    source = _source(options, config)
    check_places(output, config.run_dir)
    if options["dry_run"]:
        if options["server"] is None:
            from codebench.sampling.device import choose_device

            choose_device(options["device"])
        return _dry_run(config, source, prompt_sets, plan)
    return perform(config, source, prompt_sets, plan, output, asked=asked)


def _config(options: Mapping[str, Any]) -> RunConfig:
    per_prompt, n_samples = options["samples_per_prompt"], options["n_samples"]
    if per_prompt and n_samples:
        raise UsageError("--n-samples and --samples-per-prompt say the same thing: give one")
    return RunConfig.model_validate(
        {
            **base_config(options).model_dump(),
            "n_samples": None if per_prompt else n_samples or 100,
            "samples_per_prompt": per_prompt,
            "limit": options["limit"],
            "seed": options["seed"],
            "sampling": SamplingParams(
                temperature=options["temperature"],
                top_k=options["top_k"],
                top_p=options["top_p"],
                max_tokens=options["max_tokens"],
                stop=options["stop"],
            ),
            "extract": ExtractMode.CHAT if options["chat"] else ExtractMode(options["extract"]),
        }
    )


def _source(options: Mapping[str, Any], config: RunConfig) -> Source:
    if (options["checkpoint"] is None) == (options["server"] is None):
        raise UsageError("say what to sample from: --checkpoint NAME, or --server URL --model NAME")
    if options["server"] is not None:
        if options["model"] is None:
            raise UsageError("--server needs --model NAME: the server's name of the model")
        from codebench.sampling.server.sampler import ServerKind, ServerOptions

        server = ServerOptions(
            url=options["server"],
            model=options["model"],
            kind=ServerKind(options["server_kind"]),
            is_chat=options["chat"],
            concurrency=options["concurrency"],
        )
        return server_source(server, config.sampling)
    checkpoint = CheckpointOptions(
        name=options["checkpoint"],
        root=options["checkpoint_root"],
        tokenizer=options["tokenizer"],
        loader=options["loader"],
        settings=dict(_setting(text) for text in options["set"]),
        device=options["device"],
        batch_size=options["batch_size"],
        chat=options["chat"],
    )
    return checkpoint_source(checkpoint, config.sampling)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError(f"--set {text}: write it as NAME=VALUE")
    return name, value


def _dry_run(
    config: RunConfig, source: Source, prompt_sets: tuple[PromptSet, ...], plan: Plan
) -> int:
    from codebench.sandbox.choose import open_sandbox
    from codebench.table import plan_table

    progress = open_progress()
    sandbox = open_sandbox(config.sandbox, n_slots=config.n_slots, notify=progress.say)
    try:
        progress.say(plan_table(config, source, prompt_sets, plan, sandbox.info()))
    finally:
        sandbox.close()
    return 0
