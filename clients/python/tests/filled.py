"""Rows that the questions of the tests are about, saved by the client itself."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pandas as pd
import stock_db

DAYS = 30
TRADES = 50
OPEN = pd.Timestamp("2024-01-02 14:30", tz="UTC")


def command(url: str, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"command": name, "params": parameters}).encode()
    request = urllib.request.Request(f"{url}/db_command", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def fill(url: str) -> stock_db.Client:
    db = stock_db.connect(url)
    days = pd.date_range("2024-01-01", periods=DAYS)
    for ticker, factor in (("AAPL", 1.0), ("AAB", 2.0), ("SPY", 3.0)):
        close = [factor * (100.5 + day) for day in range(DAYS)]
        frame = pd.DataFrame({"Open": close, "High": close, "Low": close, "Close": close}, index=days)
        frame["Volume"] = range(1_000, 1_000 + DAYS)
        assert db.save_bars(frame, timeframe="1Day", ticker=ticker).stored == DAYS
    stamps = pd.date_range(OPEN, periods=TRADES, freq="250ms")
    trades = pd.DataFrame({"symbol": "AAPL", "timestamp": stamps, "price": [100 + i / 4 for i in range(TRADES)]})
    trades["size"] = pd.array([None if i == 7 else i for i in range(TRADES)], "Int64")
    trades["id"] = [str(1_000 + i) for i in range(TRADES)]
    trades["conditions"] = [["@", "I"] if i % 2 == 0 else None for i in range(TRADES)]
    assert db.save_trades(trades).stored == TRADES
    quote = {"timestamp": OPEN, "bid_price": 99.5, "bid_size": 3, "ask_price": 100.5, "ask_size": 4}
    assert db.save_quotes([quote], ticker="AAPL").stored == 1
    actions = [
        {"ex_date": "2024-01-11", "type": "split", "ratio": 4},
        {"ex_date": "2024-01-21", "type": "dividend", "cash": 1.5},
    ]
    command(url, "save_corporate_actions", {"ticker": "AAPL", "data": actions})
    option = {"option_ticker": "AAPL400120C00150000", "timestamp": "2024-01-02T15:00:00Z", "price": 12.5}
    option |= {"expiration_date": "2040-01-20", "strike_price": 150, "option_type": "call", "bid": 12.25}
    command(url, "save_options_data", {"ticker": "AAPL", "data": [option]})
    return db
