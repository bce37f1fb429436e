"""Where a server is and what it is told about us: its address, and the key from the environment.

The key and a password of the address live in request headers only. No error, fact or `repr` holds
them; what a server says is searched for them before it is shown.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from codebench.errors import EnvironmentProblem, UsageError

KEY_VARIABLES = ("CODEBENCH_API_KEY", "OPENAI_API_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where requests go."""

    base: str
    """Scheme, host, port and path without a slash at its end; no credentials."""

    authorization: str | None = field(repr=False)
    """Value of the header of that name."""

    secrets: tuple[str, ...] = field(repr=False)
    """Texts that are never shown."""

    def without_secrets(self, text: str) -> str:
        """Return `text` on one line, its secrets replaced by `***`."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def read_key(environ: Mapping[str, str], variables: Sequence[str] = KEY_VARIABLES) -> str | None:
    """Return the first key that the environment has, or None.

    Raises:
        EnvironmentProblem: if it cannot stand in a header; the message does not quote it.
    """
    for name in variables:
        key = environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise EnvironmentProblem(f"{name} holds characters that no key has: set it again")
        if key:
            return key
    return None


def parse_address(url: str, *, root: str, endpoints: Sequence[str], api_key: str | None) -> Address:
    """Return the address that a user means by `url`.

    Args:
        url: As typed: with or without http://, a path, an endpoint, `user:password@`.
        root: The path of a server whose address has none, as "/v1".
        endpoints: Paths that are taken off the end.
        api_key: Goes before a password of the address.

    Raises:
        UsageError: if it is not an address; the message does not quote it.
    """
    parsed = _parse(url.strip())
    path = (parsed.path or "").rstrip("/")
    for endpoint in endpoints:
        path = path.removesuffix(endpoint)
    host = parsed.host if parsed.port is None else f"{parsed.host}:{parsed.port}"
    authorization, secrets = _credentials(parsed.auth, api_key)
    return Address(
        base=f"{parsed.scheme}://{host}{path or root}",
        authorization=authorization,
        secrets=secrets,
    )


def _parse(url: str) -> Url:
    wanted = "--server: give an address like http://localhost:8000/v1"
    try:
        parsed = parse_url(url if "://" in url else f"http://{url}")
    except LocationParseError:
        raise UsageError(f"{wanted}: this is none") from None
    if parsed.scheme not in {"http", "https"}:
        raise UsageError(f"{wanted}: http and https are spoken, {parsed.scheme!r} is not")
    if not parsed.host:
        raise UsageError(f"{wanted}: this one names no host")
    if parsed.query or parsed.fragment:
        raise UsageError(f"{wanted}: without ? and #; a key goes into {KEY_VARIABLES[0]}")
    return parsed


def _credentials(auth: str | None, api_key: str | None) -> tuple[str | None, tuple[str, ...]]:
    secrets = []
    authorization = None
    if auth:
        plain = unquote(auth)
        encoded = b64encode(plain.encode()).decode()
        authorization = f"Basic {encoded}"
        password = plain.partition(":")[2]
        secrets += [encoded, auth, plain, auth.partition(":")[2], password]
    if api_key:
        authorization = f"Bearer {api_key}"
        secrets.append(api_key)
    by_length = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
    return authorization, tuple(by_length)
