"""One slot: a started supervisor that runs steps one at a time. Knows the frames.

The other end of the protocol, and its description, is `sandbox/supervisor.py`.
"""

import itertools
import json
import struct
import time
from collections.abc import Mapping
from typing import Any

from codebench.errors import SandboxError
from codebench.sandbox.channel import Channel
from codebench.sandbox.execution import Execution, Limits, Step, StepResult

_LENGTHS = struct.Struct("!II")
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_START_DEADLINE_S = 20.0
_SEND_DEADLINE_S = 20.0
_ANSWER_MARGIN_S = 15.0
_PROTOCOL = 2
_STREAMS = ("stdout", "stderr", "answers")


class NamespacesRefusedError(SandboxError):
    """This machine does not let a slot make namespaces of its own; trying again is no use."""


class Slot:
    """A supervisor behind a channel. Not for more than one thread at a time."""

    def __init__(self, channel: Channel, *, env: Mapping[str, str]) -> None:
        self._channel, self._env = channel, env
        hello, _ = self._answer(time.monotonic() + _START_DEADLINE_S)
        if hello.get("protocol") != _PROTOCOL:
            raise SandboxError(
                f"the sandbox speaks protocol {hello.get('protocol')}, this codebench {_PROTOCOL}: "
                "rebuild the image with `codebench doctor --build-image`"
            )
        self.n_steps = 0
        """Steps run so far."""

        self.tainted = False
        """A step did not end as steps do: the slot must not be used again."""

    def run(self, step: Step) -> StepResult:
        """Run one step.

        Raises:
            NamespacesRefusedError: if this machine does not let slots isolate in this way.
            SandboxError: if the slot failed; it must be closed then.
        """
        self.n_steps += 1
        files, checker = list(step.files.items()), step.checker
        secret = list(checker.files.items()) if checker else []
        header = json.dumps(
            {
                "argv": step.argv,
                "env": {**self._env, **step.env},
                "files": _sizes(files),
                "limits": step.limits.model_dump(),
                "collect": step.collect,
                "answers": step.answers,
                "checker": {"module": checker.module, "files": _sizes(secret)} if checker else None,
            }
        ).encode()
        body = b"".join(content for _, content in [*files, *secret])
        frame = _LENGTHS.pack(len(header), len(body)) + header + body
        self._channel.send(frame, deadline=time.monotonic() + _SEND_DEADLINE_S)
        facts, output = self._answer(time.monotonic() + _patience_s(step.limits))
        if facts.get("refused") is True:
            raise NamespacesRefusedError(
                f"this machine refuses namespaces inside a slot ({facts.get('error')})"
            )
        if "error" in facts:
            raise SandboxError(f"a slot could not start the step: {facts['error']}")
        self.tainted = bool(facts.pop("tainted", False))
        return _read_facts(step, facts, output)

    def _answer(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        lengths = _LENGTHS.unpack(self._channel.receive(_LENGTHS.size, deadline=deadline))
        if sum(lengths) > _MAX_ANSWER_BYTES:
            raise SandboxError("a slot broke the protocol: its answer is too large")
        header = self._channel.receive(lengths[0], deadline=deadline)
        body = self._channel.receive(lengths[1], deadline=deadline)
        try:
            facts = json.loads(header)
        except ValueError as error:
            raise SandboxError("a slot broke the protocol: its answer is not JSON") from error
        if not isinstance(facts, dict):
            raise SandboxError("a slot broke the protocol: its answer is no object")
        return facts, body

    def close(self) -> None:
        """End the slot."""
        self._channel.close()


def _patience_s(limits: Limits) -> float:
    return limits.wall_s + _ANSWER_MARGIN_S


def _sizes(files: list[tuple[str, bytes]]) -> list[tuple[str, int]]:
    return [(name, len(content)) for name, content in files]


def _read_facts(step: Step, facts: dict[str, Any], output: bytes) -> StepResult:
    try:
        lengths = [int(size) for size in facts.pop("kept")]
        collected = [(str(name), int(size)) for name, size in facts.pop("collected")]
        execution = Execution(stage=step.stage, **facts)
    except (KeyError, TypeError, ValueError) as error:
        raise SandboxError("a slot broke the protocol: its facts are incomplete") from error
    ends = list(itertools.accumulate([*lengths, *(size for _, size in collected)]))
    if len(lengths) != len(_STREAMS) or ends[-1] != len(output):
        raise SandboxError("a slot broke the protocol: its output has another length than it said")
    parts = [output[start:end] for start, end in itertools.pairwise([0, *ends])]
    files = dict(zip((name for name, _ in collected), parts[len(_STREAMS) :], strict=True))
    stdout, stderr, answers = parts[: len(_STREAMS)]
    return StepResult(execution, stdout, stderr, answers, files)
