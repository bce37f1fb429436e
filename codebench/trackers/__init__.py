"""Trackers: the numbers of a run, sent to where a training is followed.

One file a tracker, each with `log(run, points, project)`. Its library is an extra and is imported
when it is used. Does not cover: samples and texts; those are in the report.
"""

TRACKER_NAMES = ("wandb", "mlflow", "tensorboard", "trackio")
DEFAULT_PROJECT = "codebench"
