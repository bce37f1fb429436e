"""The trusted side of a graded step: runs the tests against a program in another process.

Tests, expected answers and the verdict are here and nowhere else. What the tests call is a
`Remote`; what it answers crosses as exactly-typed data. The answers pipe gets JSON lines, each with
the nonce of the task: compiled or compile_error, ready or import_error, final; where the program
goes away, `final` says so. A line `error` is about tests that are broken themselves.
"""

from __future__ import annotations

import functools
import json
import os
import re
import types
from collections.abc import Mapping
from typing import Any

from check_blocks import message_of, prepare_blocks, run_blocks
from frames import Broken, Gone
from remote_objects import Remote
from remote_session import ROOT, Session
from self_contained import is_self_contained
from shown_objects import TESTS
from special_methods import methods_of

_TRUSTED_FILE = "<trusted>"
_LEVELS = {"error", "warning"}
_MAX_CHARS = 500
_MAX_DIAGNOSTICS = 100


class _Answers:
    """The pipe to the host."""

    def __init__(self, descriptor: int, nonce: str) -> None:
        self._descriptor, self._nonce = descriptor, nonce

    def say(self, kind: str, **fields: object) -> None:
        text = json.dumps({"nonce": self._nonce, "kind": kind, **fields}, ensure_ascii=False)
        line = text.encode("utf-8", "replace") + b"\n"  # lone surrogates are no JSON
        while line:
            line = line[os.write(self._descriptor, line) :]


def prepare(files: Mapping[str, bytes]) -> bool:
    """Compile what a task holds, once for all samples of a prompt.

    Returns:
        Whether `main` may run it here, and another task after it.
    """
    task = json.loads(files["task.json"])
    _compiled(task["trusted"])
    prepare_blocks(task["tests"], task["names"], task["setup"])
    return all(map(is_self_contained, (task["trusted"], task["setup"], *task["tests"])))


@functools.lru_cache(maxsize=512)
def _compiled(source: str) -> types.CodeType:
    return compile(source, _TRUSTED_FILE, "exec", dont_inherit=True)


def main(files: Mapping[str, bytes], channel: int, answers: int) -> None:
    """Grade the program at the other end of `channel`.

    Args:
        files: `task.json`: nonce, trusted (source), names (what is tested), setup (source that sees
            them), tests (blocks), shared (whether the program's process runs the tests), complete
            (whether the trusted source has all that is asked for).
        channel: descriptor of the socket to the program.
        answers: descriptor of the pipe to the host.
    """
    task = json.loads(files["task.json"])
    says = _Answers(answers, task["nonce"])
    session = Session(channel, guarded=True)
    try:
        if not _is_ready(session, says):
            return
        if task["shared"]:
            _pass_on(session, says, task["nonce"])
            return
        space = _trusted_space(task["trusted"])
        _put_proxies(session, space, task)
        report = run_blocks(
            task["tests"], space, tuple(task["names"]), session, setup=task["setup"]
        )
    except (Gone, Broken) as failure:
        report = {"planned": 0, "passed": 0, "result": "no_result", "failure": None}
        report["message"] = message_of(failure)
    except BaseException as error:  # noqa: BLE001 - the tests' own fault, or ours
        says.say("error", message=message_of(error))
        return
    says.say("final", **report)


def _is_ready(session: Session, says: _Answers) -> bool:
    """Pass on what comes before the tests; return whether the program is there to be tested.

    Raises:
        Gone, Broken: see `Session`.
    """
    first = _status(session)
    if first.get("kind") not in {"compiled", "compile_error"}:
        raise session.channel.fail(Broken("no word of the compiler"))
    says.say(str(first["kind"]), diagnostics=_rows(first.get("diagnostics")))
    if first["kind"] == "compile_error":
        return False
    second = _status(session)
    if second.get("kind") == "import_error":
        kind, message = _text(second.get("type")), _text(second.get("message"))
        says.say("import_error", message=f"{kind}: {message}" if message else kind,
                 line=_line(second.get("line")))  # fmt: skip
        return False
    if second.get("kind") != "ready":
        raise session.channel.fail(Broken("neither ready nor failed"))
    says.say("ready")
    return True


def _status(session: Session) -> dict[str, object]:
    found = session.receive_status()
    if type(found) is not dict:
        raise session.channel.fail(Broken("not a status"))
    return found


def _text(found: object) -> str:
    """Return a text of the program's, bounded; nothing for what is no text."""
    if type(found) is not str:
        return ""
    return found[:_MAX_CHARS]


def _line(found: object) -> int | None:
    return found if type(found) is int and 0 < found < 1 << 31 else None


def _rows(found: object) -> list[dict[str, object]]:
    rows = []
    for row in found[:_MAX_DIAGNOSTICS] if type(found) is list else ():
        if type(row) is dict and row.get("level") in _LEVELS:
            code, message = _text(row.get("code")), _text(row.get("message"))
            place = {"line": _line(row.get("line")), "column": _line(row.get("column"))}
            rows.append({"level": row["level"], "code": code or None, "message": message, **place})
    return rows


def _trusted_space(source: str) -> dict[str, object]:
    """Return what the trusted source defines: helpers, imports, classes of exceptions."""
    space: dict[str, object] = {"__name__": TESTS}
    exec(_compiled(source), space)  # noqa: S102 - its author is the prompt's
    return space


def _put_proxies(session: Session, space: dict[str, object], task: dict[str, Any]) -> None:
    """Replace what is tested, and classes that its answers may be of, by the program's own.

    Exceptions stay: an `except` clause wants the class itself. What the classes have says what is
    asked of the program's instances, which could answer everything with yes; where they are not
    complete it may be anything.
    """
    kinds = {
        name: found
        for name, found in space.items()
        if isinstance(found, type) and found.__module__ == TESTS
    }
    errors = {name for name, kind in kinds.items() if issubclass(kind, BaseException)}
    if kinds:
        words = {*_words(task["trusted"]), *methods_of(kinds.values())}
        session.known = words if task["complete"] else _AllWords()
    said = (task["setup"], *task["tests"])
    session.stops_loops = any("StopIteration" in source for source in said)
    for name in sorted({*task["names"], *kinds} - errors):
        is_class = isinstance(space.pop(name, None), type)
        try:
            found = session.request("getattr", ROOT, name)
        except (Gone, Broken):
            raise
        except BaseException:  # noqa: BLE001, S112 - not there; a test that uses it says so
            continue
        if isinstance(found, Remote):
            (session.classes if is_class else session.functions).add(found._remote_number)
        space[name] = found


class _AllWords:
    """All words there are."""

    def __contains__(self, word: object) -> bool:
        return True


@functools.lru_cache(maxsize=512)
def _words(source: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", source))


def _pass_on(session: Session, says: _Answers, nonce: str) -> None:
    """Hand on what the program's process says of tests that ran there."""
    found = _status(session)
    report = found.get("report")
    if found.get("kind") != "shared" or found.get("nonce") != nonce or type(report) is not dict:
        raise session.channel.fail(Broken("not a report"))
    counts = [report.get("planned"), report.get("passed")]
    known = report.get("result") in {"passed", "failed", "no_result"}
    if not known or [type(count) for count in counts] != [int, int]:
        raise session.channel.fail(Broken("not a report"))
    failure = report.get("failure")
    if type(failure) is dict:
        fields = ("check", "arguments", "expected", "got", "message")
        shown = {name: _text(failure[name]) for name in fields if type(failure.get(name)) is str}
        failure = {"check": "", **shown, "line": _line(failure.get("line"))}
    else:
        failure = None
    says.say("final", planned=counts[0], passed=counts[1], result=report["result"], failure=failure)
