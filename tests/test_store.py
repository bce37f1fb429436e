"""The store: what survives a kill, who may write, and what is said when a disk refuses."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest
from pydantic import ValidationError

from codebench.analysis.metrics import CodeMetrics
from codebench.errors import EnvironmentProblem, UsageError
from codebench.extract import Extraction
from codebench.languages.verdict import Diagnostic, DiagnosticLevel, Outcome
from codebench.prompts.model import Language
from codebench.sampling.completion import FinishReason, SamplingParams
from codebench.sandbox.execution import Execution, Stage
from codebench.store import (
    CheckpointInfo,
    Environment,
    Manifest,
    RunDirectory,
    RunIdentity,
    SampleKey,
    SampleRecord,
    SampleTimes,
    disk_errors,
    utc_now,
    valid_text,
    write_atomically,
)

RECORD = SampleRecord(
    prompt_set="rust-basics",
    prompt_id="factorial",
    language=Language.RUST,
    index=0,
    seed=7,
    prompt="fn factorial(n: u64) -> u64 {",
    completion=" 1\n}",
    finish_reason=FinishReason.BALANCED,
    n_tokens=4,
    extraction=Extraction.CONTINUATION_BALANCED,
    program="fn factorial(n: u64) -> u64 { 1\n}",
    outcome=Outcome.COMPILED,
    flags=("a",),
    executions=(
        Execution(
            stage=Stage.COMPILE,
            exit_code=0,
            signal=None,
            stopped_by=None,
            cpu_s=0.05,
            wall_s=0.06,
            peak_memory_bytes=1,
            n_stdout_bytes=0,
            n_stderr_bytes=90,
        ),
    ),
    diagnostics=(
        Diagnostic(
            level=DiagnosticLevel.WARNING, code="unused", message="unused: `n`", line=1, column=14
        ),
    ),
    n_warnings=1,
    metrics=CodeMetrics(lines=2, functions=1, complexity=1, items=(), parses=True),
    times=SampleTimes(generation_ms=10.5, compile_ms=60.25, queue_ms=0),
    execution_key="0" * 64,
)


def _record(index: int, **changes: object) -> SampleRecord:
    return SampleRecord.model_validate({**RECORD.model_dump(), "index": index, **changes})


def _manifest(**changes: object) -> Manifest:
    identity = RunIdentity.model_validate(
        {
            "checkpoint": "f00d",
            "prompt_sets": {"rust-basics": "ab"},
            "sampling": SamplingParams(),
            "seed": 0,
            "extract": "auto",
            **changes,
        }
    )
    return Manifest(
        run_id=identity.run_id("step_10"),
        created="2026-11-21T08:00:00Z",
        identity=identity,
        checkpoint="step_10",
        checkpoint_info=CheckpointInfo(path="p", format="hf", fingerprint="f00d", step=10),
        prompt_sets=(),
        environment=Environment(
            rustc=None,
            python=None,
            image=None,
            sandbox="none",
            isolation="none",
            n_slots=1,
            packages={},
            host={},
            git=None,
            sampler={},
        ),
    )


def _write(path: Path, records: Iterable[SampleRecord]) -> None:
    with RunDirectory.open(path, _manifest()) as run:
        for record in records:
            run.append(record)


def _read(path: Path) -> list[SampleRecord]:
    with RunDirectory.open(path, _manifest()) as run:
        return list(run.records())


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    """What was appended is read back equal, in order, one line a record."""
    records = [_record(index, completion=f"{index}\n\x00\r\u2028é🦀") for index in range(5)]
    _write(tmp_path / "a" / "run", records)
    assert _read(tmp_path / "a" / "run") == records
    assert (tmp_path / "a" / "run" / "samples.jsonl").read_bytes().count(b"\n") == 5


def test_a_line_holds_the_keys_of_the_contract() -> None:
    """Every key that DESIGN section 3 names for samples.jsonl is in a line."""
    keys = (
        "prompt_id language index seed prompt completion finish_reason n_tokens extraction program"
        " outcome flags executions diagnostics tests metrics times schema_version prompt_set"
    )
    fields = orjson.loads(RECORD.to_line())
    assert set(keys.split()) <= set(fields)
    assert {"lines", "functions", "complexity"} <= set(fields["metrics"])


def test_a_run_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    """Records are streamed: an iterator sees what was there when it began."""
    with RunDirectory.open(tmp_path, _manifest()) as run:
        run.append(_record(0))
        iterator = run.records()
        assert next(iterator).index == 0
        run.append(_record(1))
        assert list(iterator) == []
        assert [record.index for record in run.records()] == [0, 1]


def test_a_kill_at_any_byte_loses_at_most_the_line_in_flight(tmp_path: Path) -> None:
    """Cut anywhere in the last two lines, the file opens with every whole line, and goes on."""
    path = tmp_path / "run"
    short = {"prompt": "", "completion": "", "program": "", "executions": (), "diagnostics": ()}
    records = [_record(index, **short, execution_key=None) for index in range(4)]
    _write(path, records)
    samples = path / "samples.jsonl"
    content = samples.read_bytes()
    lines = content.splitlines(keepends=True)
    for size in range(len(b"".join(lines[:2])), len(content) + 1):
        samples.write_bytes(content[:size])
        n_whole = content[:size].count(b"\n")
        with RunDirectory.open(path, _manifest()) as run:
            assert run.n_records == n_whole
            missing = [record for record in records if not run.is_done(record.key)]
            assert missing == records[n_whole:]
            assert list(run.records()) == records[:n_whole]
            if size % 40 == 0 or content[size - 2 : size + 1].count(b"\n"):
                for record in missing:
                    run.append(record)
                assert samples.read_bytes() == content


def test_zeros_after_a_power_cut_are_a_torn_line(tmp_path: Path) -> None:
    """Blocks of zeros that a file system leaves at the end are cut away."""
    _write(tmp_path, [_record(0)])
    with (tmp_path / "samples.jsonl").open("ab") as file:
        file.write(b"\0" * 4096)
    assert _read(tmp_path) == [_record(0)]
    assert b"\0" not in (tmp_path / "samples.jsonl").read_bytes()


@pytest.mark.parametrize(
    "line", [b"{\n", b"\n", b"[]\n", b'{"prompt_set":"a"}\n', RECORD.to_line()[:40] + b"\n"]
)
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, line: bytes) -> None:
    """A line that is no sample is not skipped: file and line are named, and the file is kept."""
    samples = tmp_path / "samples.jsonl"
    _write(tmp_path, [_record(0), _record(1)])
    first, second = samples.read_bytes().splitlines(keepends=True)
    samples.write_bytes(first + line + second)
    with pytest.raises(EnvironmentProblem, match=r"samples\.jsonl, line 2 is damaged"):
        RunDirectory.open(tmp_path, _manifest())
    assert samples.read_bytes() == first + line + second


def test_a_line_of_another_shape_is_named(tmp_path: Path) -> None:
    """A line with an unknown key is not read as if it were ours."""
    _write(tmp_path, [_record(0)])
    fields = orjson.loads(_record(1).to_line())
    with (tmp_path / "samples.jsonl").open("ab") as file:
        file.write(orjson.dumps({**fields, "surprise": 1}) + b"\n")
    with pytest.raises(EnvironmentProblem, match=r"line 2 is damaged: surprise"):
        _read(tmp_path)


def test_an_infra_error_is_tried_again_and_its_later_line_wins(tmp_path: Path) -> None:
    """A sample that we failed to judge is not done; what is appended later replaces it."""
    failed = _record(0, outcome=Outcome.INFRA_ERROR, error="slot 1 died")
    _write(tmp_path, [failed, _record(1)])
    with RunDirectory.open(tmp_path, _manifest()) as run:
        assert not run.is_done(failed.key)
        assert run.is_done(_record(1).key)
        assert list(run.records()) == [failed, _record(1)]
        run.append(_record(0))
        assert run.is_done(failed.key)
        assert list(run.records()) == [_record(1), _record(0)]
        assert run.n_records == 2
    assert _read(tmp_path) == [_record(1), _record(0)]


def test_a_judged_sample_is_never_doubled(tmp_path: Path) -> None:
    """Appending a sample twice is our bug and raises; a file with a double is damaged."""
    with RunDirectory.open(tmp_path, _manifest()) as run:
        run.append(_record(0))
        with pytest.raises(ValueError, match="judged already"):
            run.append(_record(0))
    with (tmp_path / "samples.jsonl").open("ab") as file:
        file.write(_record(0).to_line())
    with pytest.raises(EnvironmentProblem, match=r"line 2 is damaged.*twice"):
        RunDirectory.open(tmp_path, _manifest())


def test_the_same_index_of_another_prompt_is_another_sample(tmp_path: Path) -> None:
    """A sample is told by prompt set, prompt and index together."""
    others = [_record(0), _record(0, prompt_id="b"), _record(0, prompt_set="c")]
    _write(tmp_path, others)
    assert _read(tmp_path) == others
    with RunDirectory.open(tmp_path, _manifest()) as run:
        assert not run.is_done(SampleKey("c", "b", 0))


OPEN_AND_WAIT = """
import sys
from pathlib import Path
from codebench.store import Manifest, RunDirectory
path = Path(sys.argv[1])
run = RunDirectory.open(path, Manifest.model_validate_json(sys.argv[2]))
print("open", flush=True)
sys.stdin.read()
"""


def test_two_runs_cannot_use_one_directory(tmp_path: Path) -> None:
    """A second process is refused and told the first one's pid; kill -9 frees the directory."""
    argv = [sys.executable, "-c", OPEN_AND_WAIT, str(tmp_path), _manifest().model_dump_json()]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(UsageError, match=rf"\(pid {process.pid}\) is using"):
            RunDirectory.open(tmp_path, _manifest())
        process.send_signal(signal.SIGKILL)
        process.wait()
    _write(tmp_path, [_record(0)])


def test_a_refused_open_gives_the_directory_back(tmp_path: Path) -> None:
    """After a refusal the same process may open the directory with the right words."""
    _write(tmp_path, [])
    with pytest.raises(UsageError):
        RunDirectory.open(tmp_path, _manifest(seed=1))
    assert _read(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 1}, "seed is 1 now and 0 there"),
        ({"checkpoint": "beef"}, "checkpoint is 'beef' now and 'f00d' there"),
        (
            {"sampling": SamplingParams(temperature=0.2)},
            "sampling.temperature is 0.2 now and 0.8 there",
        ),
        ({"prompt_sets": {"rust-basics": "ab", "x": "cd"}}, "prompt_sets.x is 'cd' now and None"),
        ({"prompt_sets": {}}, "prompt_sets"),
        ({"metric_version": 99}, "metric_version is 99 now"),
        ({"options": {"dtype": "bfloat16"}}, "options.dtype is 'bfloat16' now and None there"),
    ],
)
def test_another_identity_is_refused_by_name(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    """Samples of two identities never share a directory; the first difference is named."""
    _write(tmp_path, [_record(0)])
    with pytest.raises(UsageError, match="name another --run-dir") as caught:
        RunDirectory.open(tmp_path, _manifest(**changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_manifest_stays(tmp_path: Path) -> None:
    """Opening again returns the manifest that the run was started with."""
    _write(tmp_path, [])
    later = _manifest().model_copy(update={"created": "2030-01-01T00:00:00Z"})
    with RunDirectory.open(tmp_path, later) as run:
        assert run.manifest == _manifest()


def test_a_timestamp_is_utc_with_z() -> None:
    """The present second has the form that a manifest accepts, and other forms are refused."""
    fields = _manifest().model_dump()
    assert Manifest.model_validate({**fields, "created": utc_now()}).created.endswith("Z")
    with pytest.raises(ValidationError):
        Manifest.model_validate({**fields, "created": "2026-11-21T08:00:00+01:00"})


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    """A manifest that cannot be read, or is missing beside samples, is an error, not a new run."""
    _write(tmp_path, [_record(0)])
    (tmp_path / "manifest.json").write_bytes(b"{")
    with pytest.raises(EnvironmentProblem, match=r"manifest\.json is no manifest"):
        RunDirectory.open(tmp_path, _manifest())
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UsageError, match=r"samples\.jsonl but no manifest\.json"):
        RunDirectory.open(tmp_path, _manifest())


def test_the_run_id_follows_from_the_identity() -> None:
    """The same identity gives the same name, another one another, without odd characters."""
    name = _manifest().run_id
    assert name == _manifest().run_id
    assert name.startswith("step_10-")
    assert len(name) == len("step_10-") + 10
    assert name != _manifest(seed=1).run_id
    odd = _manifest().identity.run_id("../a b/ü: x")
    assert odd.startswith("a-b-x-")
    assert "/" not in odd
    assert _manifest().identity.run_id("..").startswith("checkpoint-")


def test_lone_surrogates_become_replacement_characters() -> None:
    """Text that UTF-8 cannot carry is stored with U+FFFD and is read back equal."""
    assert valid_text("a\ud800b\udfff") == "a\ufffdb\ufffd"
    assert valid_text("é🦀\x00") == "é🦀\x00"
    broken = Diagnostic(
        level=DiagnosticLevel.ERROR, code=None, message="\udc80", line=None, column=None
    )
    record = _record(
        0, completion="\ud83d", program="\ud83d", error="\udc80", diagnostics=(broken,)
    )
    assert SampleRecord.model_validate_json(record.to_line()) == record
    assert (record.completion, record.diagnostics[0].message) == ("\ufffd", "\ufffd")


def test_a_record_refuses_what_json_cannot_say() -> None:
    """NaN, infinity, negative counts and unknown keys never reach the file."""
    for times in ({"generation_ms": float("nan")}, {"queue_ms": float("inf")}):
        with pytest.raises(ValidationError):
            _record(0, times={**RECORD.times.model_dump(), **times})
    with pytest.raises(ValidationError):
        _record(-1)
    with pytest.raises(ValidationError):
        _record(0, surprise=1)


FILL = """
import resource, signal, sys
from pathlib import Path
from codebench.analysis.metrics import CodeMetrics
from codebench.errors import EnvironmentProblem
from codebench.store import Manifest, RunDirectory, SampleRecord
path, manifest, line = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
record = SampleRecord.model_validate_json(line)
with RunDirectory.open(path, Manifest.model_validate_json(manifest)) as run:
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(record.to_line()) * 5 // 2,) * 2)
    try:
        for index in range(3):
            run.append(record.model_copy(update={"index": index}))
    except EnvironmentProblem as error:
        print(error)
    print(run.n_records, [r.index for r in run.records()])
"""


def test_a_full_disk_is_said_and_leaves_whole_lines(tmp_path: Path) -> None:
    """A write that is taken in part is undone; the message names the file and the fix."""
    argv = [sys.executable, "-c", FILL, str(tmp_path), _manifest().model_dump_json()]
    argv.append(RECORD.to_line().decode())
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    message, counts = done.stdout.splitlines()
    assert str(tmp_path / "samples.jsonl") in message
    assert "free some space" in message
    assert counts == "2 [0, 1]"
    assert (tmp_path / "samples.jsonl").read_bytes().count(b"\n") == 2
    assert (tmp_path / "samples.jsonl").read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "make it writable"),
        (errno.EACCES, "make it writable"),
        (errno.EIO, "check the path"),
    ],
)
def test_every_refusal_of_a_disk_is_one_line_with_its_fix(number: int, fix: str) -> None:
    """An OSError becomes an EnvironmentProblem that says what, where, why and what to do."""
    with pytest.raises(EnvironmentProblem) as caught, disk_errors("write it", Path("there")):
        raise OSError(number, "x")
    message = str(caught.value)
    assert message.startswith(f"cannot write it at there: {os.strerror(number)}; ")
    assert fix in message
    assert "\n" not in message


def test_a_run_directory_under_a_file_is_refused(tmp_path: Path) -> None:
    """A path that cannot be a directory is named."""
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match="cannot make the run directory at"):
        RunDirectory.open(tmp_path / "file" / "run", _manifest())


def test_write_atomically_replaces_the_whole_file(tmp_path: Path) -> None:
    """The new content stands there, a link stays a link, and no temporary file is left."""
    target, link = tmp_path / "results.json", tmp_path / "link.json"
    target.write_bytes(b"a long old content")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert target.read_bytes() == b"new"
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "results.json"]


def test_write_atomically_obeys_the_umask(tmp_path: Path) -> None:
    """The file is as readable as any other new file."""
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "a", b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_write_atomically_keeps_the_old_file_when_it_fails(tmp_path: Path) -> None:
    """When the disk is full the old file is as it was and the temporary one is gone."""
    target = tmp_path / "results.json"
    write_atomically(target, b"old")
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, old_limit[1]))
    try:
        with pytest.raises(EnvironmentProblem, match="free some space"):
            write_atomically(target, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_write_atomically_names_a_missing_folder(tmp_path: Path) -> None:
    """A folder that is not there is said in one line."""
    with pytest.raises(EnvironmentProblem, match="No such file or directory"):
        write_atomically(tmp_path / "missing" / "results.json", b"")


def test_write_atomically_writes_through_a_device() -> None:
    """What is no plain file is written to, not replaced."""
    write_atomically(Path(os.devnull), b"x")
    assert Path(os.devnull).is_char_device()
