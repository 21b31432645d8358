"""What goes wrong, as exceptions. All of them are `StockDBError`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "ConnectionLost",
    "IncompleteAnswer",
    "NotAllowed",
    "RequestRefused",
    "SaveFailed",
    "ServerUnavailable",
    "ServerWarning",
    "StockDBError",
    "TimedOut",
]


class StockDBError(Exception):
    """The base of every exception of this package but `TypeError` and `ValueError` of arguments."""


class RequestRefused(StockDBError):
    """The server has refused a request: sending it again unchanged is of no use.

    `status` is the HTTP status, `body` what was answered, which is never a key.
    """

    def __init__(self, message: str, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class NotAllowed(RequestRefused):
    """401 or 403: there is no valid key, or the key may not do this."""


class ServerUnavailable(StockDBError):
    """The server was busy or away (429, 502, 503, 504) for longer than the retries lasted.

    `retry_after` is in seconds, None where the server named no time.
    """

    def __init__(self, message: str, status: int, retry_after: float | None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ConnectionLost(StockDBError):
    """No connection could be made, or none lasted until an answer was there."""


class TimedOut(ConnectionLost):
    """The connection is there, and nothing came over it within the timeout.

    A question isn't asked again then, as the server may be at work on it still: ask for less, or give
    `connect` a longer `timeout`.
    """


class IncompleteAnswer(StockDBError):
    """An answer broke off or doesn't fit itself: its rows must not pass for all."""


class SaveFailed(StockDBError):
    """A save that was split, or whose answer never came, is not known to be whole.

    `stored`, `refused` and `unknown` are ranges of rows, from 0, the end exclusive: what is stored,
    what is not stored for certain, and that of which nobody knows. To repeat the rows of `unknown`
    with the same `idempotency_key` is safe.
    """

    def __init__(
        self,
        message: str,
        *,
        stored: Sequence[tuple[int, int]],
        refused: Sequence[tuple[int, int]],
        unknown: Sequence[tuple[int, int]],
        idempotency_key: str,
    ) -> None:
        super().__init__(message)
        self.stored = tuple(stored)
        self.refused = tuple(refused)
        self.unknown = tuple(unknown)
        self.idempotency_key = idempotency_key


class ServerWarning(UserWarning):
    """What the server warns of beside an answer: a ticker without rows, bars made of other rows."""
