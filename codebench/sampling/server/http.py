"""POST JSON to a server and wait for its answer: bounded in time and size, patient with faults.

Tried again, with growing pauses and jitter: no connection, a broken or overdue answer, an answer
that is not what was asked for, and the status codes 408, 409, 425, 429 and 5xx; a `Retry-After`
is honoured. Any other status is the server's decision and is returned as a `Refusal`. Redirects
are not followed, so the key never goes to another host. Proxies are not used.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from codebench.errors import EnvironmentProblem
from codebench.sampling.server.address import Address
from codebench.sampling.server.threads import BusyClock

_T = TypeVar("_T")

_RETRIED = frozenset({408, 409, 425, 429})
_MAX_BODY_BYTES = 32 << 20
_YEAR_S = 365 * 24 * 3600
_MAX_SAID = 300
"""Characters of a server's own words that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request is waited for and how often it is tried; times in seconds."""

    timeout_s: float = 600.0
    """For one answer; a server that has many requests may take minutes."""

    connect_timeout_s: float = 10.0
    n_tries: int = 6
    first_pause_s: float = 0.5
    """Doubled before each further try."""

    longest_pause_s: float = 120.0
    """A server that asks for a longer one is not waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Generic[_T]):
    """What was asked for."""

    value: _T
    duration_ms: float
    """Wall time of the try that worked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A status that says that asking again will not help."""

    status: int
    message: str
    """One line: the URL, the status, the server's own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """A try that did not work."""

    reason: str
    pause_s: float = 0.0
    """What the server asks to wait."""

    is_final: bool = False


class ServerClient:
    """Connections to one server; used by many threads at once."""

    def __init__(self, address: Address, *, n_connections: int, patience: Patience) -> None:
        self.address = address
        self.busy = BusyClock()
        self._patience = patience
        self._has_answered = False
        self._headers = {"Content-Type": "application/json", "User-Agent": "codebench"}
        if address.authorization:
            self._headers["Authorization"] = address.authorization
        self._pool = urllib3.PoolManager(maxsize=n_connections, retries=False)
        self._timeout = urllib3.Timeout(connect=patience.connect_timeout_s, read=patience.timeout_s)

    def post(
        self,
        path: str,
        body: Mapping[str, object],
        read: Callable[[bytes], _T],
        stop: threading.Event,
    ) -> Reply[_T] | Refusal:
        """Send `body` and return what `read` makes of the answer.

        Args:
            path: Endpoint below the server's address.
            body: The request; sent as JSON.
            read: Raises ValueError where the answer is not what was asked for.
            stop: Ends the pauses between tries.

        Raises:
            EnvironmentProblem: if no try worked.
        """
        url = self.address.base + path
        payload = json.dumps(body).encode()
        n_tries = 0
        while True:
            n_tries += 1
            outcome = self._try(url, payload, read)
            if not isinstance(outcome, _Failure):
                return outcome
            if outcome.is_final or n_tries >= self._patience.n_tries:
                break
            if stop.wait(self._pause_s(n_tries, outcome.pause_s)):
                break
        reason = self.address.without_secrets(outcome.reason)
        tried = f", tried {n_tries} times" if n_tries > 1 else ""
        raise EnvironmentProblem(f"POST {url}: {reason}{tried}")

    def _pause_s(self, n_tries: int, asked_s: float) -> float:
        pause_s = max(asked_s, self._patience.first_pause_s * 2.0 ** (n_tries - 1))
        jitter = 1 + random.random() / 2  # noqa: S311  # spreads the tries, guards nothing
        return min(pause_s, self._patience.longest_pause_s) * jitter

    def _try(
        self, url: str, payload: bytes, read: Callable[[bytes], _T]
    ) -> Reply[_T] | Refusal | _Failure:
        started = time.perf_counter()
        try:
            with self.busy:
                response = self._pool.request(
                    "POST",
                    url,
                    body=payload,
                    headers=self._headers,
                    timeout=self._timeout,
                    redirect=False,
                    preload_content=False,
                )
                content = self._content(response, started)
        except HTTPError as error:
            return self._fault(error)
        self._has_answered = True
        if isinstance(content, _Failure):
            return content
        if response.status != 200:
            return self._status(url, response, content)
        try:
            value = read(content)
        except ValueError as error:
            return _Failure(reason=f"the server sent {error}")
        return Reply(value=value, duration_ms=(time.perf_counter() - started) * 1000)

    def _content(self, response: urllib3.BaseHTTPResponse, started: float) -> bytes | _Failure:
        """Read the body piece by piece: a server that trickles is overdue as well."""
        pieces: list[bytes] = []
        n_bytes = 0
        is_whole = False
        try:
            while piece := response.read1(1 << 16):
                pieces.append(piece)
                n_bytes += len(piece)
                if n_bytes > _MAX_BODY_BYTES:
                    reason = f"an answer larger than {_MAX_BODY_BYTES >> 20} MiB"
                    return _Failure(reason=reason, is_final=True)
                if time.perf_counter() - started > self._patience.timeout_s:
                    return _Failure(reason=self._overdue())
            is_whole = True
        finally:
            if is_whole:
                response.release_conn()
            else:
                response.close()
        return b"".join(pieces)

    def _overdue(self) -> str:
        return f"no answer within {self._patience.timeout_s:g} s"

    def _fault(self, error: HTTPError) -> _Failure:
        match error:
            case SSLError():
                return _Failure(reason=f"TLS does not work: {error}", is_final=True)
            case NameResolutionError():
                return _Failure(reason="no such host", is_final=not self._has_answered)
            case NewConnectionError():
                cause = error.__cause__
                said = cause.strerror if isinstance(cause, OSError) else None
                reason = f"no server there ({said or 'no connection'}); start it, or fix --server"
                return _Failure(reason=reason, is_final=not self._has_answered)
            case ConnectTimeoutError():
                reason = f"no connection within {self._patience.connect_timeout_s:g} s"
                return _Failure(reason=reason, is_final=not self._has_answered)
            case ReadTimeoutError():
                return _Failure(reason=self._overdue())
        return _Failure(reason=f"the connection broke ({type(error).__name__})")

    def _status(
        self, url: str, response: urllib3.BaseHTTPResponse, content: bytes
    ) -> Refusal | _Failure:
        status = response.status
        said = self.address.without_secrets(_said(content))
        said = said if len(said) <= _MAX_SAID else said[:_MAX_SAID] + " ..."
        line = f"{status} {response.reason or ''}".strip() + (f": {said}" if said else "")
        if status not in _RETRIED and status < 500:
            message = self.address.without_secrets(f"POST {url}: {line}")
            return Refusal(status=status, message=message)
        asked_s = _retry_after_s(response.headers.get("Retry-After"))
        if asked_s > self._patience.longest_pause_s:
            reason = f"{line}; the server asks to come back in {asked_s:.0f} s"
            return _Failure(reason=reason, is_final=True)
        return _Failure(reason=line, pause_s=asked_s)


def _retry_after_s(header: str | None) -> float:
    """Return the seconds that a Retry-After header means: a number or a date; 0 for none."""
    if header is None:
        return 0.0
    try:
        return urllib3.Retry(retry_after_max=_YEAR_S).parse_retry_after(header)
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


def _said(content: bytes) -> str:
    """Return the message in an error's body: the fields that servers use, else its beginning."""
    text = content[:10_000].decode(errors="replace")
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError):
        return text
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    return found if isinstance(found, str) else json.dumps(found)
