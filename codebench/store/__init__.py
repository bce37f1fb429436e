"""The store room: a run's directory, with its manifest and one line per sample, safe to kill."""

from codebench.store.disk import disk_errors, write_atomically
from codebench.store.manifest import (
    CheckpointInfo,
    Environment,
    Manifest,
    PromptSetInfo,
    RunIdentity,
    utc_now,
)
from codebench.store.record import SampleKey, SampleRecord, SampleTimes, valid_text
from codebench.store.run_directory import RunDirectory

__all__ = [
    "CheckpointInfo",
    "Environment",
    "Manifest",
    "PromptSetInfo",
    "RunDirectory",
    "RunIdentity",
    "SampleKey",
    "SampleRecord",
    "SampleTimes",
    "disk_errors",
    "utc_now",
    "valid_text",
    "write_atomically",
]
