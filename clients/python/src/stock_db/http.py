"""Requests over HTTP/1.1: connections that are kept, repetition of what is safe, whole bodies."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from .connection import Connection
from .errors import (
    ConnectionLost,
    IncompleteAnswer,
    NotAllowed,
    RequestRefused,
    ServerUnavailable,
    TimedOut,
)

__all__ = ["Body", "Transport"]

T = TypeVar("T")

#: Connections that are kept for later requests.
IDLE_MAX = 8
#: Seconds between two tries: the first pause at most, doubled each time, up to the last.
PAUSE_FIRST = 0.2
PAUSE_LAST = 5.0
#: A server that asks for more patience than this is told of by an exception, at once.
RETRY_AFTER_MAX = 60.0
#: Of an answer that is an error: more isn't read.
ERROR_BYTES_MAX = 1 << 20
#: Busy or away: the same request may succeed later.
BUSY = frozenset({429, 502, 503, 504})

_BROKEN = (OSError, http.client.HTTPException)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(self.timeout)
        try:
            made.connect(self._path)
        except BaseException:
            made.close()
            raise
        self.sock = made


class Body:
    """The body of an answer, as a file that is read once. Raises `IncompleteAnswer`."""

    def __init__(self, response: http.client.HTTPResponse, done: Callable[[bool], None]) -> None:
        self._response = response
        self._done: Callable[[bool], None] | None = done
        self.closed = False

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._response.getheaders()}

    def read(self, size: int = -1) -> bytes:
        """Fewer bytes than asked for mean the end, of a body that is whole."""
        if self.closed:
            return b""
        try:
            got = self._response.read(size if size >= 0 else None)
        except _BROKEN as error:
            self._end(False)
            raise IncompleteAnswer(f"the answer broke off: {_told(error)}") from error
        if size < 0 or len(got) < size:
            # http.client takes the end of the connection for the end of a body of known length.
            missing = self._response.length
            self._end(not missing)
            if missing:
                raise IncompleteAnswer(f"the answer broke off: {missing} bytes of it are missing")
        return got

    def close(self) -> None:
        """What isn't read by then is thrown away, with its connection."""
        if not self.closed:
            self._end(False)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def __del__(self) -> None:
        self.close()

    def _end(self, is_whole: bool) -> None:
        self.closed = True
        done, self._done = self._done, None
        if done is not None:
            done(is_whole)


@dataclass
class _Error:
    status: int
    message: str
    body: dict[str, Any]
    retry_after: float | None


class Transport:
    """Threads may share one: a connection is of one request at a time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        parts = urlsplit(connection.url)
        self._base = parts.path
        self._host = parts.hostname or "localhost"
        self._port = parts.port
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def ask(self, path: str, parameters: Mapping[str, Any], accepted: str | None = None) -> Body:
        """A question by POST, once. `accepted` are codings in which the answer may be packed."""
        body = json.dumps(parameters, allow_nan=False).encode()
        headers = {"Content-Type": "application/json"}
        if accepted is not None:
            headers["Accept-Encoding"] = accepted
        return self.once("POST", path, {}, body, headers)

    def ask_json(self, path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """A question that has JSON for an answer. It is asked again while the server is busy or away."""
        body = json.dumps(parameters, allow_nan=False).encode()
        return self.repeated(lambda: self.once_json(path, {}, body, {"Content-Type": "application/json"}))

    def once_json(
        self, path: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        with _closing(self.once("POST", path, query, body, headers)) as answer:
            text = answer.read()
        try:
            found = json.loads(text)
        except ValueError as error:
            raise IncompleteAnswer(f"{path}: the answer is no JSON: {text[:200]!r}") from error
        if not isinstance(found, dict):
            raise IncompleteAnswer(f"{path}: got {str(found)[:200]}, expected an object")
        return found

    def once(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, headers: Mapping[str, str]
    ) -> Body:
        """Raises `RequestRefused`, `ServerUnavailable`, `ConnectionLost`. Tries once.

        A connection that was kept and has ended meanwhile is no try: the request goes over a new one.
        That may send it twice, so it must be one that is safe to repeat.
        """
        target = f"{self._base}{path}" + (f"?{urlencode(query)}" if query else "")
        sent = {**self.connection.headers, **headers}
        kept = self._taken()
        if kept is not None:
            try:
                response = self._sent(kept, method, target, body, sent)
            except (ConnectionError, http.client.BadStatusLine):
                kept.close()
            except _BROKEN as error:
                raise self._lost(error) from error
            else:
                return self._answered(kept, response)
        fresh = self._connected()
        try:
            response = self._sent(fresh, method, target, body, sent)
        except _BROKEN as error:
            raise self._lost(error) from error
        return self._answered(fresh, response)

    def repeated(self, attempt: Callable[[], T], *, after_silence: bool = False) -> T:
        """The result of the first attempt that succeeds. The last one's exception otherwise.

        After silence, what was asked may be under way still: a question is then not asked again.
        """
        for tried in range(self.connection.retries + 1):
            is_last = tried == self.connection.retries
            try:
                return attempt()
            except ServerUnavailable as error:
                asked = error.retry_after or 0.0
                if is_last or asked > RETRY_AFTER_MAX:
                    raise
                self.pause(tried, asked)
            except (ConnectionLost, IncompleteAnswer) as error:
                is_late = isinstance(error, TimedOut) and not after_silence
                if is_last or is_late or isinstance(error.__cause__, ssl.SSLCertVerificationError):
                    raise
                self.pause(tried)
        raise AssertionError("unreachable")

    def pause(self, tried: int, at_least: float = 0.0) -> None:
        longest = min(PAUSE_FIRST * 2**tried, PAUSE_LAST)
        time.sleep(at_least + longest * random.uniform(0.5, 1.0))

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()

    def _lost(self, error: BaseException) -> ConnectionLost:
        if isinstance(error, TimeoutError):
            return TimedOut(f"{self._where()}: no answer came within {self.connection.timeout:g} s")
        return ConnectionLost(f"{self._where()}: no answer came: {_told(error)}")

    def _where(self) -> str:
        return self.connection.unix_socket or self.connection.url

    def _taken(self) -> http.client.HTTPConnection | None:
        with self._lock:
            if self._pid != os.getpid():
                # After a fork both processes would read of the same connections.
                self._pid, self._idle = os.getpid(), []
            return self._idle.pop() if self._idle else None

    def _kept(self, made: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < IDLE_MAX and made.sock is not None:
                self._idle.append(made)
                return
        made.close()

    def _connected(self) -> http.client.HTTPConnection:
        of = self.connection
        made: http.client.HTTPConnection
        if of.unix_socket is not None:
            made = _UnixConnection(of.unix_socket, of.connect_timeout)
        elif of.tls is not None:
            made = http.client.HTTPSConnection(
                self._host, self._port, timeout=of.connect_timeout, context=of.tls
            )
        else:
            made = http.client.HTTPConnection(self._host, self._port, timeout=of.connect_timeout)
        try:
            made.connect()
        except OSError as error:
            made.close()
            raise ConnectionLost(f"{self._where()}: no connection: {_told(error)}") from error
        made.sock.settimeout(of.timeout)
        return made

    def _sent(
        self,
        over: http.client.HTTPConnection,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        try:
            try:
                over.request(method, target, body, dict(headers))
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses a body has answered before it has read all of it.
                if body is None or over.sock is None:
                    raise
            return over.getresponse()
        except BaseException:
            over.close()
            raise

    def _answered(self, over: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Body:
        def done(is_whole: bool) -> None:
            if is_whole and not response.will_close:
                self._kept(over)
            else:
                over.close()

        body = Body(response, done)
        if 200 <= response.status < 300:
            return body
        raise _exception(_error_of(response.status, body))


class _closing:
    def __init__(self, body: Body) -> None:
        self._body = body

    def __enter__(self) -> Body:
        return self._body

    def __exit__(self, *_: object) -> None:
        self._body.close()


def _error_of(status: int, body: Body) -> _Error:
    try:
        text = body.read(ERROR_BYTES_MAX)
    except IncompleteAnswer:
        text = b""
    headers = body.headers
    body.close()
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    told: dict[str, Any] = found if isinstance(found, dict) else {}
    parts = [told.get("error") or told.get("message") or text[:300].decode(errors="replace").strip()]
    parts += [told.get("details"), told.get("hint")]
    if "location" in headers:
        parts.append(f"it says to ask {headers['location']} instead")
    message = ": ".join(str(part) for part in parts if part) or "no reason is given"
    return _Error(status, message, told, _seconds(headers.get("retry-after")))


def _exception(error: _Error) -> Exception:
    message = f"{error.status}: {error.message}"
    if error.status in BUSY:
        return ServerUnavailable(message, error.status, error.retry_after)
    if error.status in (401, 403):
        return NotAllowed(message, error.status, error.body)
    return RequestRefused(message, error.status, error.body)


def _seconds(header: str | None) -> float | None:
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None


def _told(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    return str(error) or type(error).__name__
