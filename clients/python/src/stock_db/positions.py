"""How far a program has come, and the file in which it is kept."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import StockDBError

__all__ = ["STATE_SECONDS", "Handled", "StateFile", "StateUnreadable"]

#: The file is written at most so often, and at the end.
STATE_SECONDS = 0.5
_FORMAT = 1


class StateUnreadable(StockDBError):
    """The state file isn't one, or not whole. Remove it to begin anew."""


@dataclass
class Handled:
    """What a program has handled of one database. Another thread may copy it at any time."""

    #: Of the database; None: nothing is known yet.
    epoch: str | None = None
    #: By ticker: the updates up to this position are handled.
    positions: dict[str, int] = field(default_factory=dict)
    #: Newest closed live bars: by ticker and timeframe the checksum of each bar, by its stamp.
    bars: dict[str, dict[str, int]] = field(default_factory=dict)
    #: Tickers of which a gap was told, and not yet the snapshot that stands for it.
    without_snapshot: set[str] = field(default_factory=set)

    def as_json(self) -> str:
        # Positions first: bars that are newer than they say were handled, too.
        positions = dict(self.positions)
        bars = {series: dict(told) for series, told in list(self.bars.items())}
        return json.dumps(
            {
                "stock_db_state": _FORMAT,
                "epoch": self.epoch,
                "positions": positions,
                "bars": bars,
                "without_snapshot": sorted(self.without_snapshot.copy()),
            },
            separators=(",", ":"),
        )


class StateFile:
    """Written whole beside its place and then put there, so that a reader never meets half of it."""

    def __init__(self, path: str | os.PathLike[str], seconds: float = STATE_SECONDS) -> None:
        self.path = Path(path)
        #: What is written; another one when the database changes.
        self.handled = self._read()
        #: Counts changes.
        self.version = 0
        self.error: OSError | None = None
        self._written = 0
        self._seconds = seconds
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def exists(self) -> bool:
        return self.handled.epoch is not None

    def begin(self) -> None:
        """Raises `OSError` where it can't be written: better now than after a day."""
        self._write()
        self._thread = threading.Thread(target=self._run, name="stock-db state", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Writes what is new. Raises `OSError`."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            if self.version != self._written:
                self._write()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            if self.version == self._written:
                continue
            try:
                self._write()
                self.error = None
            except OSError as error:
                # The stream raises it.
                self.error = error

    def _write(self) -> None:
        with self._lock:
            version = self.version
            beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
            try:
                with open(beside, "w", encoding="utf-8") as file:
                    file.write(self.handled.as_json())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, self.path)
            except OSError:
                with contextlib.suppress(OSError):
                    beside.unlink()
                raise
            self._written = version

    def _read(self) -> Handled:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Handled()
        try:
            found: dict[str, Any] = json.loads(text)
            if found["stock_db_state"] != _FORMAT:
                raise ValueError(f"format {found['stock_db_state']!r}")
            return Handled(
                found["epoch"],
                {str(ticker): int(position) for ticker, position in found["positions"].items()},
                {series: dict(told) for series, told in found["bars"].items()},
                set(found["without_snapshot"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateUnreadable(
                f"state {self.path}: got {text[:60]!r} ({error}), expected what a stream has written; "
                "remove the file to begin anew"
            ) from None
