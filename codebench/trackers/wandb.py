"""Weights & Biases: a run for each line, with `codebench/step` as the x axis of its own charts.

W&B drops rows whose `step=` is below one that it has seen, so none is given: the step is a number
like the others, and the charts are told to use it. Settings: W&B's own variables; with
WANDB_RUN_ID the numbers go into that run, which may be the one of the training.
"""

import os
from collections.abc import Sequence
from typing import Any

from codebench.errors import EnvironmentProblem
from codebench.trackers import DEFAULT_PROJECT
from codebench.trackers.point import Point


def log(run: str, points: Sequence[Point], project: str | None) -> str:
    """Add some steps to a run; return where they are.

    Raises:
        EnvironmentProblem: if W&B is online and has no key; it is never asked for.
        Exception: whatever W&B raises.
    """
    import wandb

    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    _check_key(wandb)
    with wandb.init(
        project=project or os.environ.get("WANDB_PROJECT") or DEFAULT_PROJECT,
        id=os.environ.get("WANDB_RUN_ID") or run,
        name=os.environ.get("WANDB_NAME") or run,
        resume="allow",
        settings=settings,
    ) as opened:
        opened.define_metric("codebench/step")
        opened.define_metric("codebench/*", step_metric="codebench/step")
        for point in points:
            opened.log({"codebench/step": point.step, **point.metrics})
        return str(opened.settings.sync_dir if opened.offline else opened.url)


def _check_key(wandb: Any) -> None:  # noqa: ANN401 - the module
    """Refuse rather than ask on the terminal for a key, which would stop an unattended run."""
    mode = wandb.setup().settings.mode
    if mode in ("online", "run") and not wandb.login(prompt=False):
        raise EnvironmentProblem("W&B has no key: run `wandb login`, or set WANDB_MODE=offline")
