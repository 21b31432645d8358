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
from .rows import Rows, TableRows
from .saves import Saved

__version__ = "0.1.0"

__all__ = [
    "Client",
    "Connection",
    "ConnectionLost",
    "IncompleteAnswer",
    "NotAllowed",
    "RequestRefused",
    "Rows",
    "SaveFailed",
    "Saved",
    "ServerUnavailable",
    "ServerWarning",
    "StockDBError",
    "TableRows",
    "TimedOut",
    "__version__",
    "connect",
]
