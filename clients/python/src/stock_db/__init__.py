"""The client of stock-db-server.

    import stock_db

    db = stock_db.connect("http://localhost:8080")
    frame = db.bars(["AAPL", "SPY"], timeframe="5Min", start="2024-01-02").to_pandas()

`connect` gives a `Client`, whose methods are the questions and the saves.
"""

from __future__ import annotations

from .client import Client, connect
from .connection import Connection
from .errors import (
    ConnectionLost,
    IncompleteAnswer,
    NotAllowed,
    RequestRefused,
    SaveFailed,
    ServerUnavailable,
    ServerWarning,
    StockDBError,
    TimedOut,
)
from .positions import StateUnreadable
from .rows import Rows, TableRows
from .saves import Saved
from .spool import SpoolDamaged, SpoolFull, SpoolInUse
from .stream_core import EndedByOperator
from .stream_events import (
    Bar,
    BarsGap,
    Deleted,
    Event,
    FeedAlive,
    FeedStale,
    FeedsLeftOut,
    Gap,
    LiveBars,
    MissedUpdates,
    NewEpoch,
    OtherRows,
    Quote,
    Quotes,
    Renamed,
    SavedBars,
    Snapshot,
    Ticks,
    Trade,
    Trades,
    Unreadable,
    Update,
)
from .writer_core import NotStored, RefusedRow, RowsRefused, WriterFull, WriterStopped
from .writer_rows import RowError

__version__ = "0.1.0"

__all__ = [
    "Bar",
    "BarsGap",
    "Client",
    "Connection",
    "ConnectionLost",
    "Deleted",
    "EndedByOperator",
    "Event",
    "FeedAlive",
    "FeedStale",
    "FeedsLeftOut",
    "Gap",
    "IncompleteAnswer",
    "LiveBars",
    "MissedUpdates",
    "NewEpoch",
    "NotAllowed",
    "NotStored",
    "OtherRows",
    "Quote",
    "Quotes",
    "RefusedRow",
    "Renamed",
    "RequestRefused",
    "RowError",
    "Rows",
    "RowsRefused",
    "SaveFailed",
    "Saved",
    "SavedBars",
    "ServerUnavailable",
    "ServerWarning",
    "Snapshot",
    "SpoolDamaged",
    "SpoolFull",
    "SpoolInUse",
    "StateUnreadable",
    "StockDBError",
    "TableRows",
    "Ticks",
    "TimedOut",
    "Trade",
    "Trades",
    "Unreadable",
    "Update",
    "WriterFull",
    "WriterStopped",
    "__version__",
    "connect",
]
