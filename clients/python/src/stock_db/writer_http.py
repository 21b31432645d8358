"""One HTTP connection that stays open, for a writer."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .connection import Connection

__all__ = ["Answer", "Poster"]


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]
    #: Seconds; None where the server names none.
    retry_after: float | None

    @property
    def error(self) -> str:
        told = self.body.get("error")
        details = self.body.get("details")
        text = str(told) if told is not None else f"status {self.status}"
        return text if details is None else f"{text}: {details}"


class Poster:
    """Not safe for several threads at once."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        parts = urlsplit(connection.url)
        self._path = parts.path.rstrip("/")
        host = parts.hostname or "localhost"
        self._timeout = timeout
        timeout = min(timeout, connection.connect_timeout)
        self._connection: http.client.HTTPConnection
        if connection.unix_socket is not None:
            self._connection = _UnixConnection(connection.unix_socket, timeout)
        elif parts.scheme == "https":
            context = connection.tls if connection.tls is not None else ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                host, parts.port, timeout=timeout, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
        self._headers = {"Content-Type": "text/csv", **connection.headers}

    def post(self, path: str, body: bytes, key: str) -> Answer:
        """Raises `OSError` or `http.client.HTTPException`: nobody knows what became of it."""
        connection = self._connection
        try:
            if not self._is_open:
                connection.connect()
                connection.sock.settimeout(self._timeout)
            connection.request("POST", self._path + path, body, {**self._headers, "Idempotency-Key": key})
            response = connection.getresponse()
            data = response.read()
        except BaseException:
            connection.close()
            raise
        return Answer(response.status, _object(data), _seconds(response.getheader("Retry-After")))

    @property
    def _is_open(self) -> bool:
        return self._connection.sock is not None

    def abort(self) -> None:
        """Ends a request that another thread waits for."""
        sock = self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._unix_path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._unix_path)


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {"error": data[:300].decode(errors="replace")}
    return found if isinstance(found, dict) else {"error": str(found)[:300]}


def _seconds(header: str | None) -> float | None:
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None
