"""Where the server is, and how it is reached: what every part of the client shares."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Connection", "resolve"]

DEFAULT_URL = "http://localhost:8080"
#: Seconds until a server must have answered, and between two pieces of an answer.
DEFAULT_TIMEOUT = 60.0
#: Seconds until a connection must be there.
CONNECT_TIMEOUT = 10.0
#: How often a request is sent again after the first time.
DEFAULT_RETRIES = 5


@dataclass(frozen=True)
class Connection:
    """Frozen, so that threads and tasks may share it."""

    #: Such as `https://desk.example:8080`, without a slash at its end. A path before `/v1` may follow.
    url: str
    #: Never shown.
    key: str | None = field(default=None, repr=False)
    #: For `https` and `wss`; None for plain HTTP.
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    #: The path of a Unix socket; `url` is then `http://localhost`.
    unix_socket: str | None = None
    #: Seconds until an answer begins, and between two pieces of it.
    timeout: float = DEFAULT_TIMEOUT
    #: Seconds until a connection must be there.
    connect_timeout: float = CONNECT_TIMEOUT
    #: How often a request is sent again after the first time.
    retries: int = DEFAULT_RETRIES
    #: Whether bodies are packed.
    compress: bool = False

    @property
    def ws_url(self) -> str:
        """The same address with `ws` or `wss`."""
        return "ws" + self.url.removeprefix("http")

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries: the key, where there is one."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}


def resolve(
    url: str | None,
    *,
    key: str | None,
    verify: bool | str | os.PathLike[str] | ssl.SSLContext,
    timeout: float,
    retries: int,
    compress: bool | None = None,
) -> Connection:
    """Raises `ValueError` for what can't be an address, a key, a time or a number."""
    given = url if url is not None else os.environ.get("STOCK_DB_URL") or DEFAULT_URL
    if key is None:
        key = os.environ.get("STOCK_DB_KEY") or None
    if key is not None and (not key.isascii() or not key.isprintable() or " " in key):
        raise ValueError("key: got something with blanks, line ends or other letters than ASCII has")
    if not timeout > 0:
        raise ValueError(f"timeout: got {timeout}, expected seconds above 0")
    if retries < 0:
        raise ValueError(f"retries: got {retries}, expected 0 or more")
    tls: ssl.SSLContext | None
    socket_path: str | None
    if given.startswith("unix:"):
        path = given.removeprefix("unix:")
        path = path[2:] if path.startswith("//") else path
        if not path:
            raise ValueError(f"url: got {given!r}, expected a path such as unix:/run/stocks/stocks.sock")
        address, tls, socket_path, is_near = "http://localhost", None, path, True
    else:
        address, socket_path = _checked(given), None
        tls = _tls(verify) if address.startswith("https") else None
        is_near = urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")
    return Connection(
        address,
        key,
        tls,
        socket_path,
        timeout,
        min(timeout, CONNECT_TIMEOUT),
        retries,
        not is_near if compress is None else compress,
    )


def _checked(given: str) -> str:
    expected = "expected one such as http://localhost:8080 or unix:/run/stocks/stocks.sock"
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"url: got {given!r}: {error}; {expected}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: got one with a name or a password, expected the key as key=…")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"url: got {given!r}, {expected}")
    return given.rstrip("/")


def _tls(verify: bool | str | os.PathLike[str] | ssl.SSLContext) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is True:
        return ssl.create_default_context()
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    path = os.fspath(verify)
    if not os.path.exists(path):
        raise ValueError(f"verify: got {path!r}, which isn't there; expected a file or folder of certificates")
    if os.path.isdir(path):
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)
