"""The client: one object for a server, whose methods are its questions and saves."""

from __future__ import annotations

import importlib
import os
import ssl
from typing import TYPE_CHECKING, Any

from .connection import DEFAULT_RETRIES, DEFAULT_TIMEOUT, Connection, resolve

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Client", "connect"]


def connect(
    url: str | None = None,
    *,
    key: str | None = None,
    verify: bool | str | os.PathLike[str] | ssl.SSLContext = True,
    timeout: float = DEFAULT_TIMEOUT,
    retries: int = DEFAULT_RETRIES,
) -> Client:
    """A client of the server at `url`. Nothing is sent yet.

    `url` is `http://…`, `https://…` or `unix:/path/of/a/socket`; without it the environment variable
    `STOCK_DB_URL`, else `http://localhost:8080`. `key` is a key of the server; without it that of
    `STOCK_DB_KEY`, if there is one. `verify` is, for https, a file or folder of certificates to
    trust, an `ssl.SSLContext`, or False for no check at all. `timeout` is in seconds: until an answer
    begins, and between two pieces of it. `retries` is how often a request is sent again that is safe
    to repeat, after a lost connection or a busy server. Raises `ValueError`.
    """
    return Client(resolve(url, key=key, verify=verify, timeout=timeout, retries=retries))


class Client:
    """Made by `connect`. Threads may share one."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __repr__(self) -> str:
        return f"<stock_db.Client of {self.connection.unix_socket or self.connection.url}>"

    def writer(self, **options: Any) -> Any:
        """A writer of single rows that batches them: see `stock_db.writer.Writer`."""
        return importlib.import_module(".writer", __package__).Writer(self.connection, **options)

    def stream(self, symbols: Any, **options: Any) -> Any:
        """Live updates, each once and in order: see `stock_db.stream.Stream`."""
        return importlib.import_module(".stream", __package__).Stream(self.connection, symbols, **options)

    def history_then_live(self, symbols: Any, **options: Any) -> Any:
        """A read, and the updates from just after it: see `stock_db.stream.history_then_live`."""
        return importlib.import_module(".stream", __package__).history_then_live(self, symbols, **options)

    def close(self) -> None:
        """Ends the connections that are kept open. The client may be used again."""

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
