"""`codebench run`: check everything that can be wrong before anything slow, run, show, write."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codebench.checkpoints.checkpoint import Checkpoint
from codebench.checkpoints.resolve import resolve_checkpoint
from codebench.errors import EnvironmentProblem, UsageError
from codebench.extract import ExtractMode
from codebench.plan import Plan, make_plan
from codebench.progress import open_progress
from codebench.prompts import PromptSet, load_prompt_set
from codebench.run_config import RunConfig
from codebench.sampling.completion import SamplingParams
from codebench.sandbox.choose import SandboxKind
from codebench.store.disk import disk_errors, write_atomically

STDOUT = "-"


def run_command(options: Mapping[str, Any]) -> int:
    """Run as the command line says; return the exit code.

    Raises:
        CodebenchError: if something is wrong; its message is one line.
    """
    config = _config(options)
    output = str(options["output"])
    prompt_sets = tuple(load_prompt_set(name) for name in config.prompts)
    plan = make_plan(
        prompt_sets,
        n_samples=config.n_samples,
        samples_per_prompt=config.samples_per_prompt,
        limit=config.limit,
        seed=config.seed,
    )
    checkpoint = resolve_checkpoint(config.checkpoint, root=config.checkpoint_root)
    if output != STDOUT:
        _check_writable(Path(output))
    if config.run_dir is not None and config.run_dir.exists() and not config.run_dir.is_dir():
        raise UsageError(f"--run-dir {config.run_dir} is a file: name a folder")
    if options["dry_run"]:
        return _dry_run(config, checkpoint, prompt_sets, plan)
    return _run(config, checkpoint, prompt_sets, plan, output)


def _config(options: Mapping[str, Any]) -> RunConfig:
    per_prompt, n_samples = options["samples_per_prompt"], options["n_samples"]
    if per_prompt and n_samples:
        raise UsageError("--n-samples and --samples-per-prompt say the same thing: give one")
    return RunConfig(
        checkpoint=options["checkpoint"],
        checkpoint_root=options["checkpoint_root"],
        prompts=options["prompts"],
        n_samples=None if per_prompt else n_samples or 100,
        samples_per_prompt=per_prompt,
        limit=options["limit"],
        seed=options["seed"],
        sampling=SamplingParams(
            temperature=options["temperature"],
            top_k=options["top_k"],
            top_p=options["top_p"],
            max_tokens=options["max_tokens"],
        ),
        extract=ExtractMode(options["extract"]),
        device=options["device"],
        batch_size=options["batch_size"],
        sandbox=SandboxKind(options["sandbox"]),
        n_slots=options["slots"],
        timeout_s=options["timeout"],
        run_dir=options["run_dir"],
        max_infra_errors=options["max_infra_errors"],
    )


def _check_writable(path: Path) -> None:
    """Fail now rather than after the run.

    Raises:
        EnvironmentProblem: if `path` cannot be written.
    """
    folder = path.parent
    if path.is_dir():
        raise EnvironmentProblem(f"--output {path} is a folder: name a file in it")
    if not folder.is_dir():
        raise EnvironmentProblem(f"--output {path}: there is no folder {folder}: make it first")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise EnvironmentProblem(f"--output {path} cannot be written: name another place")
    probe = folder / f".{path.name}.{os.getpid()}.probe"
    with disk_errors("write the output", path):  # root passes access(2) on read-only file systems
        probe.touch()
        probe.unlink()


def _dry_run(
    config: RunConfig, checkpoint: Checkpoint, prompt_sets: tuple[PromptSet, ...], plan: Plan
) -> int:
    from codebench.sampling.device import choose_device
    from codebench.sandbox.choose import open_sandbox
    from codebench.table import plan_table

    progress = open_progress()
    choose_device(config.device)
    sandbox = open_sandbox(config.sandbox, n_slots=config.n_slots, notify=progress.say)
    try:
        progress.say(plan_table(config, checkpoint, prompt_sets, plan, sandbox.info()))
    finally:
        sandbox.close()
    return 0


def _run(
    config: RunConfig,
    checkpoint: Checkpoint,
    prompt_sets: tuple[PromptSet, ...],
    plan: Plan,
    output: str,
) -> int:
    from codebench.start import execute
    from codebench.table import print_results

    if plan.n_samples < len(plan.prompts):
        sys.stderr.write(
            f"{plan.n_samples} samples over {len(plan.prompts)} prompts: some prompts have none\n"
        )
    with open_progress() as progress:
        finished = execute(config, checkpoint, prompt_sets, plan, progress)
    print_results(finished.results, finished.run_dir)
    content = finished.results.to_json()
    if output == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        write_atomically(Path(output), content)
    if finished.too_many_infra_errors:
        sys.stderr.write(
            f"codebench: {finished.n_infra_errors} samples could not be judged (infra_error); "
            "the same command tries them again\n"
        )
        return 4
    return 0
