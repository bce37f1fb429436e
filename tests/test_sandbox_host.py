"""The host's side of the sandbox: whatever goes wrong in a slot is a SandboxError, and mended."""

import contextlib
import inspect
import json
import os
import resource
import shutil
import socket
import struct
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import docker
import docker.errors
import pytest
import requests.exceptions
import urllib3.exceptions

from codebench.errors import SandboxError
from codebench.package_data import data_path
from codebench.sandbox.backend import Isolation
from codebench.sandbox.channel import Channel, ProcessChannel
from codebench.sandbox.container import ContainerChannel
from codebench.sandbox.docker import _docker_errors, image_name
from codebench.sandbox.execution import MIB, RUN_LIMITS, Checker, Stage, Step, StoppedBy
from codebench.sandbox.pool import STEPS_PER_SLOT, SlotPool, share_cores
from codebench.sandbox.slot import NamespacesRefusedError, Slot

_FACTS: Mapping[str, object] = {
    "exit_code": 0,
    "signal": None,
    "stopped_by": None,
    "cpu_s": 0.1,
    "wall_s": 0.2,
    "peak_memory_bytes": 1000,
    "n_stdout_bytes": 3,
    "n_stderr_bytes": 2,
    "kept": [3, 2, 0],
    "collected": [],
    "tainted": False,
}
_STEP = Step(stage=Stage.RUN, argv=("program",), limits=RUN_LIMITS, files={"a": b"1", "b": b"22"})
_POLL_S = 0.05
_PATIENCE_S = 20


def _frame(header: object, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("!II", len(text), len(body)) + text + body


_HELLO = _frame({"protocol": 2, "python": "3.11.2"})
_ANSWER = _frame(_FACTS, b"outer")
_SLOW = _frame({**_FACTS, "exit_code": None, "stopped_by": "cpu_time"}, b"outer")


class BytesChannel:
    """A channel whose other end says exactly these bytes, then is gone."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = b""
        self.deadlines: list[float] = []
        self.n_closed = 0

    def send(self, data: bytes, *, deadline: float) -> None:
        """See `Channel`."""
        self.sent += data

    def receive(self, size: int, *, deadline: float) -> bytes:
        """See `Channel`."""
        self.deadlines.append(deadline)
        if len(self._data) < size:
            raise SandboxError("a slot went away")
        data, self._data = self._data[:size], self._data[size:]
        return data

    def close(self) -> None:
        """See `Channel`."""
        self.n_closed += 1


class ScriptedBackend:
    """A backend whose slots say, one after the other, what the script has for them."""

    kind = "scripted"
    isolation = Isolation.NONE
    image: str | None = None
    shortfall: str | None = None

    def __init__(self, *script: Channel | SandboxError) -> None:
        self.env: Mapping[str, str] = {"ADDED": "by the backend"}
        self._script = list(script)
        self.n_starts = 0
        self.n_closed = 0
        self.cores: list[list[int]] = []

    def start(self, cores: Collection[int] = ()) -> Channel:
        """See `Backend`."""
        self.n_starts += 1
        self.cores.append(list(cores))
        following = self._script.pop(0)
        if isinstance(following, SandboxError):
            raise following
        return following

    def close(self) -> None:
        """See `Backend`."""
        self.n_closed += 1


def test_a_step_goes_out_and_its_facts_come_back() -> None:
    """The request holds files, limits and both environments; the answer becomes an execution."""
    channel = BytesChannel(_HELLO + _ANSWER)
    result = Slot(channel, env={"ADDED": "x"}).run(_STEP)
    size, body = struct.unpack("!II", channel.sent[:8])
    request = json.loads(channel.sent[8 : 8 + size])
    assert (request["argv"], request["env"]) == (["program"], {"ADDED": "x"})
    assert (request["files"], channel.sent[8 + size :]) == ([["a", 1], ["b", 2]], b"122")
    assert body == 3
    assert request["limits"] == RUN_LIMITS.model_dump()
    assert (result.stdout, result.stderr) == (b"out", b"er")
    assert (result.execution.exit_code, result.execution.cpu_s) == (0, 0.1)


def test_secrets_go_to_the_checker_and_files_come_back() -> None:
    """The checker's files follow the program's; answers and collected files are told apart."""
    facts = {**_FACTS, "kept": [3, 2, 4], "collected": [["a", 1], ["empty", 0], ["b", 2]]}
    channel = BytesChannel(_HELLO + _frame(facts, b"outer" + b"true" + b"xyz"))
    checker = Checker(module="checker", files={"task": b"secret"})
    step = replace(_STEP, checker=checker, answers=True, collect=("a", "b"))
    result = Slot(channel, env={}).run(step)
    size, _ = struct.unpack("!II", channel.sent[:8])
    request = json.loads(channel.sent[8 : 8 + size])
    assert request["checker"] == {"module": "checker", "files": [["task", 6]]}
    assert (request["collect"], request["answers"]) == (["a", "b"], True)
    assert channel.sent[8 + size :] == b"122" + b"secret"
    assert (result.stdout, result.stderr, result.answers) == (b"out", b"er", b"true")
    assert result.collected == {"a": b"x", "empty": b"", "b": b"yz"}


@pytest.mark.parametrize(
    "hello",
    [
        b"",
        _HELLO[:5],
        _HELLO[:-1],
        _frame({"protocol": 1}),
        _frame({}),
        _frame([]),
        _frame(None),
        b"HTTP/1.1 200 OK\r\n\r\n",
        struct.pack("!II", 3, 0) + b"{x}",
        struct.pack("!II", 2, 0) + b"\xff\xfe",
    ],
)
def test_a_slot_that_greets_wrongly_is_refused(hello: bytes) -> None:
    """A torn, foreign or outdated greeting is our failure."""
    with pytest.raises(SandboxError):
        Slot(BytesChannel(hello), env={})


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        _ANSWER[:7],
        _ANSWER[:-1],
        struct.pack("!II", 60 * MIB, 5 * MIB),
        struct.pack("!II", 2**32 - 1, 2**32 - 1),
        struct.pack("!II", 3, 0) + b"abc",
        _frame({"error": "unshare user namespace: Operation not permitted"}),
        _frame({}),
        _frame([]),
        _frame(7),
        _frame({**_FACTS, "exit_code": "zero"}),
        _frame({**_FACTS, "stopped_by": "boredom"}),
        _frame({**_FACTS, "surprise": 1}),
        _frame({**_FACTS, "kept": ["many", 0, 0]}, b"outer"),
        _frame({**_FACTS, "kept": [5]}, b"outer"),
        _frame({**_FACTS, "kept": [3, 2, 1]}, b"outer"),
        _frame({**_FACTS, "collected": [["a", 7]]}, b"outer"),
        _frame({**_FACTS, "collected": "all"}, b"outer"),
        _frame({key: value for key, value in _FACTS.items() if key != "kept"}, b"outer"),
        _frame({key: value for key, value in _FACTS.items() if key != "cpu_s"}),
    ],
)
def test_a_slot_that_answers_wrongly_has_failed(answer: bytes) -> None:
    """A torn, oversized or incomplete answer is our failure, never a result."""
    slot = Slot(BytesChannel(_HELLO + answer), env={})
    with pytest.raises(SandboxError):
        slot.run(_STEP)


def test_the_deadline_is_behind_the_wall_limit() -> None:
    """The host waits longer than the step may take, so that the slot itself can answer."""
    channel = BytesChannel(_HELLO + _ANSWER)
    slot = Slot(channel, env={})
    before = time.monotonic()
    slot.run(_STEP)
    assert channel.deadlines[-1] > before + RUN_LIMITS.wall_s


@contextlib.contextmanager
def _process(source: str) -> Iterator[ProcessChannel]:
    channel = ProcessChannel([sys.executable, "-I", "-S", "-c", source], env={})
    try:
        yield channel
    finally:
        channel.close()


@pytest.mark.parametrize(
    ("source", "message", "patience_s"),
    [
        ("import os; os.write(1, b'abc')", "went away: it said nothing", _PATIENCE_S),
        ("import sys; sys.exit('no such option')", "went away: no such option", _PATIENCE_S),
        ("import sys; sys.stdin.read()", "did not answer in time", 0.2),
    ],
    ids=["torn", "ended", "silent"],
)
def test_a_process_that_does_not_answer(source: str, message: str, patience_s: float) -> None:
    """A supervisor that ends early or stays silent is named with its last words."""
    with _process(source) as channel, pytest.raises(SandboxError, match=message):
        channel.receive(8, deadline=time.monotonic() + patience_s)


def test_a_process_that_is_gone_cannot_be_told() -> None:
    """Sending to a supervisor that has ended is our failure."""
    with _process("raise SystemExit('ended')") as channel:
        with pytest.raises(SandboxError):
            channel.receive(1, deadline=time.monotonic() + _PATIENCE_S)
        with pytest.raises(SandboxError, match="ended"):
            channel.send(b"x" * MIB, deadline=time.monotonic() + _PATIENCE_S)


def test_a_process_that_does_not_listen() -> None:
    """Sending more than a pipe holds to a supervisor that reads nothing ends at the deadline."""
    with _process("import time; time.sleep(600)") as channel:
        with pytest.raises(SandboxError, match="did not take its step in time"):
            channel.send(b"x" * MIB, deadline=time.monotonic() + 0.2)
        channel.close()


def test_a_container_that_does_not_listen() -> None:
    """The same of a container, whose other end is a socket."""
    ours, theirs = socket.socketpair()
    removed: list[int] = []
    channel = ContainerChannel(ours, remove=lambda: removed.append(1))
    with theirs:
        with pytest.raises(SandboxError, match="did not take its step in time"):
            channel.send(b"x" * 4 * MIB, deadline=time.monotonic() + 0.2)
        channel.close()
    assert removed == [1]


def test_frames_of_a_container_are_put_together() -> None:
    """Answers come whole from frames of any size, cut anywhere, with stderr between them."""
    ours, theirs = socket.socketpair()
    channel = ContainerChannel(ours, remove=lambda: None)
    frames = [(1, b"ab"), (2, b"no "), (1, b""), (1, b"cdefg"), (2, b"room\n"), (1, b"h")]
    sent = b"".join(struct.pack("!BxxxL", kind, len(text)) + text for kind, text in frames)
    deadline = time.monotonic() + _PATIENCE_S

    def drip() -> None:
        with theirs:
            for byte in sent:
                theirs.sendall(bytes([byte]))

    sending = threading.Thread(target=drip)
    sending.start()
    received = [channel.receive(size, deadline=deadline) for size in (1, 0, 4, 3)]
    sending.join()
    assert received == [b"a", b"", b"bcde", b"fgh"]
    with pytest.raises(SandboxError, match="no room"):
        channel.receive(1, deadline=deadline)
    channel.close()


def test_a_container_that_does_not_answer() -> None:
    """A container that stays silent is waited for until the deadline, even if that has passed."""
    ours, theirs = socket.socketpair()
    channel = ContainerChannel(ours, remove=lambda: None)
    with theirs:
        for patience_s in (0.1, -1.0):
            with pytest.raises(SandboxError, match="did not answer in time"):
                channel.receive(1, deadline=time.monotonic() + patience_s)
    channel.close()


def test_a_closed_channel_says_so() -> None:
    """A channel may be closed twice; what is asked of it then is our failure."""
    with _process("import sys; sys.stdin.read()") as channel:
        channel.close()
        with pytest.raises(SandboxError):
            channel.send(b"x", deadline=time.monotonic() + _PATIENCE_S)


def test_a_process_that_ignores_the_end_is_killed() -> None:
    """Close returns although the supervisor does not care that its input has ended."""
    with _process("import os, time; os.write(1, b'%d;' % os.getpid()); time.sleep(600)") as channel:
        text = b""
        while not text.endswith(b";"):
            text += channel.receive(1, deadline=time.monotonic() + _PATIENCE_S)
    assert not Path("/proc", text[:-1].decode()).exists()


def test_a_program_that_is_missing() -> None:
    """A supervisor that cannot be started at all is our failure; what was made for it goes."""
    ended: list[str] = []
    with pytest.raises(SandboxError, match="cannot start"):
        ProcessChannel(["/no/such/program"], env={}, at_end=lambda: ended.append("gone"))
    assert ended == ["gone"]


@pytest.mark.parametrize("n_left", [0, 3])
def test_no_descriptor_left_for_a_slot(n_left: int) -> None:
    """A process without descriptors for one more slot is told so as of any slot that fails."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        free = os.open(os.devnull, os.O_RDONLY)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + n_left, limit[1]))
        with pytest.raises(SandboxError, match="Too many open files"):
            ProcessChannel([sys.executable, "-c", ""], env={})


def test_descriptors_of_any_number() -> None:
    """A process with thousands of open files, as of many slots, can still speak to a slot."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (2048, limit[1]))
        except ValueError:
            pytest.skip("this user may not open 2048 files")
        for _ in range(1030):
            stack.enter_context(Path(os.devnull).open("rb"))
        channel = stack.enter_context(_process("import os; os.write(1, os.read(0, 3))"))
        channel.send(b"abc", deadline=time.monotonic() + _PATIENCE_S)
        assert channel.receive(3, deadline=time.monotonic() + _PATIENCE_S) == b"abc"


def test_a_process_keeps_to_its_cores() -> None:
    """It starts on the cores that it was given; who starts it goes on with all that he had."""
    before = os.sched_getaffinity(0)
    source = "import os; os.write(1, repr(os.sched_getaffinity(0)).encode())"
    for cores in ([min(before)], [1_000_000], []):
        argv = [sys.executable, "-I", "-S", "-c", source]
        channel = ProcessChannel(argv, env={}, cores=cores)
        wanted = repr({min(before)} if cores == [min(before)] else before).encode()
        said = channel.receive(len(wanted), deadline=time.monotonic() + _PATIENCE_S)
        channel.close()
        assert (said, os.sched_getaffinity(0)) == (wanted, before)


@pytest.mark.parametrize(
    ("cores", "n_slots", "shares"),
    [
        ([4, 6], 2, [[4], [6]]),
        ([4, 6], 1, [[4, 6]]),
        ([0, 1, 2, 3], 2, [[0, 2], [1, 3]]),
        ([0, 1], 3, [[0], [1], [0]]),
        ([7], 2, [[7], [7]]),
    ],
)
def test_slots_share_the_cores(cores: list[int], n_slots: int, shares: list[list[int]]) -> None:
    """Each slot has cores of its own; where there are too few, some slots have the same one."""
    assert share_cores(cores, n_slots) == shares


def test_a_new_slot_has_the_cores_of_the_old_one() -> None:
    """The slot that replaces a failed one runs where that did."""
    backend = ScriptedBackend(BytesChannel(_HELLO), BytesChannel(_HELLO + _ANSWER))
    SlotPool(backend, n_slots=1).run(_STEP)
    assert backend.cores == [sorted(os.sched_getaffinity(0))] * 2


def test_a_failed_slot_is_replaced() -> None:
    """The step is tried in a new slot, the old one is closed, and the new one is kept."""
    first, second = BytesChannel(_HELLO), BytesChannel(_HELLO + 2 * _ANSWER)
    backend = ScriptedBackend(first, second)
    pool = SlotPool(backend, n_slots=1)
    assert pool.run(_STEP).execution.exit_code == 0
    assert pool.run(_STEP).execution.exit_code == 0
    assert (backend.n_starts, first.n_closed, second.n_closed) == (2, 1, 0)


def test_a_slot_that_does_not_start_is_tried_again() -> None:
    """Two failed starts are survived."""
    backend = ScriptedBackend(
        SandboxError("daemon away"), BytesChannel(b""), BytesChannel(_HELLO + _ANSWER)
    )
    assert SlotPool(backend, n_slots=1).run(_STEP).stdout == b"out"


def test_three_failures_are_told() -> None:
    """After three failures in a row the error goes up, and the pool can still be used."""
    backend = ScriptedBackend(
        BytesChannel(_HELLO),
        SandboxError("daemon away"),
        SandboxError("still away"),
        BytesChannel(_HELLO + _ANSWER),
    )
    pool = SlotPool(backend, n_slots=1)
    with pytest.raises(SandboxError, match="still away"):
        pool.run(_STEP)
    assert pool.run(_STEP).stdout == b"out"
    assert backend.n_starts == 4


def test_a_tainted_slot_is_replaced() -> None:
    """A slot whose step did not end as steps do keeps its result, and is never used again."""
    first = BytesChannel(_HELLO + _frame({**_FACTS, "tainted": True}, b"outer") + _ANSWER)
    backend = ScriptedBackend(first, BytesChannel(_HELLO + _ANSWER))
    pool = SlotPool(backend, n_slots=1)
    assert pool.run(_STEP).stdout == pool.run(_STEP).stdout == b"out"
    assert (backend.n_starts, first.n_closed) == (2, 1)


@pytest.mark.parametrize("isolation", Isolation)
def test_a_slot_is_used_so_often(isolation: Isolation) -> None:
    """A slot is replaced after its share of steps: 50 where steps are users, else 500."""
    most = 50 if isolation is Isolation.UID else 500
    assert STEPS_PER_SLOT[isolation] == most
    backend = ScriptedBackend(*(BytesChannel(_HELLO + most * _ANSWER) for _ in range(2)))
    backend.isolation = isolation
    pool = SlotPool(backend, n_slots=1)
    for _ in range(most):
        pool.run(_STEP)
    assert backend.n_starts == 1
    pool.run(_STEP)
    assert backend.n_starts == 2


def test_a_refusal_is_final() -> None:
    """Where the machine forbids namespaces no second slot is tried, and the reason is kept."""
    refusal = _frame({"error": "unshare user namespace: not permitted", "refused": True})
    backend = ScriptedBackend(BytesChannel(_HELLO + refusal))
    with pytest.raises(NamespacesRefusedError, match="unshare user namespace: not permitted"):
        SlotPool(backend, n_slots=1).run(_STEP)
    assert backend.n_starts == 1


def test_a_closed_pool_runs_nothing() -> None:
    """Closing closes the slots and the backend; a later step raises."""
    channel = BytesChannel(_HELLO + _ANSWER)
    backend = ScriptedBackend(channel)
    pool = SlotPool(backend, n_slots=2)
    pool.run(_STEP)
    pool.close()
    assert (channel.n_closed, backend.n_closed) == (1, 1)
    with pytest.raises(SandboxError, match="closed"):
        pool.run(_STEP)


@pytest.mark.parametrize("reason", ["cpu_time", "wall_time"])
def test_a_time_limit_is_tried_again(reason: str) -> None:
    """A step over a time limit has a second chance, and the facts say so."""
    slow = _frame({**_FACTS, "exit_code": None, "stopped_by": reason}, b"outer")
    for again in (_ANSWER, slow):
        pool = SlotPool(ScriptedBackend(BytesChannel(_HELLO + slow + again)), n_slots=1)
        execution = pool.run(_STEP).execution
        assert execution.retried_alone
        assert execution.stopped_by == (None if again is _ANSWER else StoppedBy(reason))


@pytest.mark.parametrize("reason", ["memory", "output", "processes", None])
def test_other_ends_are_final(reason: str | None) -> None:
    """Only time limits depend on what else runs; nothing else is tried again."""
    answer = _frame({**_FACTS, "stopped_by": reason}, b"outer")
    pool = SlotPool(ScriptedBackend(BytesChannel(_HELLO + answer)), n_slots=1)
    assert not pool.run(_STEP).execution.retried_alone


class HeldChannel(BytesChannel):
    """A channel that answers when it is let go, and notes how many steps were under way with it."""

    def __init__(self, data: bytes, under_way: set[int], beside: list[int]) -> None:
        super().__init__(data)
        self._under_way, self._beside = under_way, beside
        self.asked, self.let_go = threading.Event(), threading.Event()

    def send(self, data: bytes, *, deadline: float) -> None:
        """See `Channel`."""
        self._under_way.add(id(self))
        self._beside.append(len(self._under_way))
        self.asked.set()

    def receive(self, size: int, *, deadline: float) -> bytes:
        """See `Channel`."""
        if id(self) in self._under_way:
            assert self.let_go.wait(_PATIENCE_S)
        data = super().receive(size, deadline=deadline)
        if data == b"outer":
            self._under_way.discard(id(self))
        return data


def test_the_second_try_is_alone() -> None:
    """The step that is tried again waits until every other step has ended, and none begins."""
    under_way: set[int] = set()
    beside: list[int] = []
    slow = HeldChannel(_HELLO + _SLOW + _ANSWER, under_way, beside)
    other = HeldChannel(_HELLO + _ANSWER, under_way, beside)
    pool = SlotPool(ScriptedBackend(slow, other), n_slots=2)
    results = []
    threads = [threading.Thread(target=lambda: results.append(pool.run(_STEP))) for _ in range(2)]
    for thread, channel in zip(threads, (slow, other), strict=True):
        thread.start()
        assert channel.asked.wait(_PATIENCE_S)
    slow.let_go.set()  # it hits its limit while the other one still runs
    time.sleep(0.2)
    other.let_go.set()
    for thread in threads:
        thread.join(_PATIENCE_S)
    assert sorted(result.execution.retried_alone for result in results) == [False, True]
    assert beside == [1, 2, 1]


def test_a_waiting_step_learns_that_the_pool_is_closed() -> None:
    """A step that waits for a slot when the pool is closed raises instead of waiting on."""
    held = HeldChannel(_HELLO + _ANSWER, set(), [])
    pool = SlotPool(ScriptedBackend(held), n_slots=1)
    errors: list[SandboxError] = []

    def wait() -> None:
        try:
            pool.run(_STEP)
        except SandboxError as error:
            errors.append(error)

    running = threading.Thread(target=pool.run, args=(_STEP,))
    running.start()
    assert held.asked.wait(_PATIENCE_S)
    waiting = threading.Thread(target=wait)
    waiting.start()
    pool.close()
    waiting.join(_PATIENCE_S)
    held.let_go.set()
    running.join(_PATIENCE_S)
    assert [str(error) for error in errors] == ["the sandbox is closed"]
    assert held.n_closed == 1


_LIBRARY_ERRORS: list[Exception] = [
    requests.exceptions.ConnectionError("daemon away"),
    requests.exceptions.ReadTimeout("too slow"),
    requests.exceptions.ChunkedEncodingError("cut off"),
    urllib3.exceptions.ProtocolError("cut off"),
    urllib3.exceptions.ReadTimeoutError(None, "/build", "too slow"),  # type: ignore[arg-type]
    FileNotFoundError(2, "no socket"),
    PermissionError(13, "not in the group docker"),
    TimeoutError("too slow"),
]


def _docker_exceptions() -> list[type[Exception]]:
    found = [value for value in vars(docker.errors).values() if inspect.isclass(value)]
    return [value for value in found if issubclass(value, Exception)]


@pytest.mark.parametrize("kind", _docker_exceptions(), ids=lambda kind: kind.__name__)
def test_every_docker_error_is_ours(kind: type[Exception]) -> None:
    """Every exception class of docker.errors becomes a SandboxError of one telling line."""
    needed = []
    if inspect.isfunction(kind.__init__):
        parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
        needed = [item for item in parameters if item.default is item.empty]
    error = kind(*["it broke"] * max(1, len(needed)))
    with pytest.raises(SandboxError) as caught, _docker_errors("a test"):
        raise error
    assert "a test" in str(caught.value)
    assert "None" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", _LIBRARY_ERRORS, ids=lambda error: type(error).__name__)
def test_every_transport_error_is_ours(error: Exception) -> None:
    """What the libraries under docker raise becomes a SandboxError that keeps the cause."""
    with pytest.raises(SandboxError) as caught, _docker_errors("a test"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours"), KeyboardInterrupt()])
def test_our_own_bugs_are_not_dockers(error: BaseException) -> None:
    """An error of ours goes up as it is."""
    with pytest.raises(type(error)), _docker_errors("a test"):
        raise error


def test_the_image_name_is_a_hash_of_its_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any change in sandbox/ or the Dockerfile asks for another image; caches do not count."""
    shutil.copytree(data_path("sandbox"), tmp_path / "sandbox")
    shutil.copy(data_path("Dockerfile"), tmp_path)
    names = [image_name()]
    # patched, because the function takes its files from the installation and from nowhere else
    monkeypatch.setattr("codebench.sandbox.docker.data_path", lambda name: tmp_path / name)
    (tmp_path / "sandbox" / "__pycache__").mkdir(exist_ok=True)
    (tmp_path / "sandbox" / "__pycache__" / "isolate.pyc").write_bytes(b"x")
    assert image_name() == names[0]
    for name in ("sandbox/supervisor.py", "sandbox/seccomp.json", "Dockerfile", "sandbox/new.py"):
        with (tmp_path / name).open("a") as file:
            file.write("\n")
        names.append(image_name())
    assert len(set(names)) == 5
