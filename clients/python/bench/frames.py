"""Large answers as DataFrames, beside DuckDB that reads the same rows from Parquet.

    python bench/frames.py [URL] [--years 20] [--tickers 500] [--trades 1000000] [--workers 1]

Without a URL it starts the server of this repository with an empty database (SQLite; `--engine
duckdb` for DuckDB). Each time is the median of five; the ratio to DuckDB is what counts, as both
share the machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import stock_db

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from server import Server  # noqa: E402

REPEATS = 5


def daily_bars(tickers: int, years: int) -> pa.Table:
    random = np.random.default_rng(1)
    days = pd.bdate_range("2004-01-01", periods=252 * years)
    count = tickers * len(days)
    closes = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.01, count).reshape(tickers, -1), axis=1)), 2)
    close = closes.reshape(-1)
    names = np.repeat([f"T{index:03}" for index in range(tickers)], len(days))
    return pa.table(
        {
            "symbol": pa.array(names).dictionary_encode(),
            "timestamp": pa.array(np.tile(days.values.astype("datetime64[D]"), tickers)),
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": random.integers(1_000, 10_000_000, count),
        }
    )


def trades(count: int) -> pa.Table:
    random = np.random.default_rng(2)
    start = np.datetime64("2024-01-02T14:30:00", "us").astype("int64")
    stamps = start + np.cumsum(random.integers(1, 20_000, count))
    return pa.table(
        {
            "symbol": pa.array(["SPY"] * count).dictionary_encode(),
            "timestamp": pa.array(stamps, pa.timestamp("us", "UTC")),
            "price": np.round(470 + np.cumsum(random.normal(0, 0.01, count)), 2),
            "size": random.integers(1, 1_000, count),
            "id": pa.array([str(each) for each in range(count)]),
        }
    )


def median(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def compare(what: str, ours: Callable[[], Any], floor: Callable[[], Any]) -> None:
    """The client's own time of the processor is told too: the rest is the server's and the socket's."""
    began = time.process_time()
    own = median(ours)
    cpu = (time.process_time() - began) / REPEATS
    other = median(floor)
    times = f"{own:7.3f} s (client {cpu:6.3f} s)   DuckDB {other:7.3f} s   {own / other:6.1f} ×"
    print(f"{what:56} {times}", flush=True)


def measure(db: stock_db.Client, options: argparse.Namespace, folder: Path) -> None:
    bars_file, trades_file = folder / "bars.parquet", folder / "trades.parquet"
    bars, ticks = daily_bars(options.tickers, options.years), trades(options.trades)
    pq.write_table(bars, bars_file)
    pq.write_table(ticks, trades_file)
    for what, save, table in (
        ("bars saved", lambda: db.save_bars(bars, timeframe="1Day"), bars),
        ("trades saved", lambda: db.save_trades(ticks), ticks),
    ):
        began = time.perf_counter()
        assert save().rows == table.num_rows
        took = time.perf_counter() - began
        print(f"{what:56} {took:7.3f} s   {table.num_rows / took:,.0f} rows/s", flush=True)
    names = [f"T{index:03}" for index in range(options.tickers)]
    closes = f"select symbol, timestamp, close from '{bars_file}' order by symbol, timestamp"
    all_trades = f"select timestamp, price, size, id from '{trades_file}' order by timestamp"
    close = db.bars(names, columns=["close"])
    assert len(close) == bars.num_rows
    what = f"{options.tickers} tickers × {options.years} years of closes to"
    compare(
        f"{what} polars", lambda: db.bars(names, columns=["close"]).to_polars(), lambda: duckdb.sql(closes).pl()
    )
    compare(
        f"{what} pandas", lambda: db.bars(names, columns=["close"]).to_pandas(), lambda: duckdb.sql(closes).df()
    )
    compare(
        f"{what} a matrix of polars",
        lambda: db.bars(names, columns=["close"], layout="wide").to_polars(),
        lambda: duckdb.sql(closes).pl().pivot("symbol", index="timestamp", values="close"),
    )
    compare(
        f"{options.trades:,} trades to pandas",
        lambda: db.trades("SPY", columns=["price", "size", "id"]).to_pandas(),
        lambda: duckdb.sql(all_trades).df(),
    )
    compare(
        f"{options.trades:,} trades to polars",
        lambda: db.trades("SPY", columns=["price", "size", "id"]).to_polars(),
        lambda: duckdb.sql(all_trades).pl(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--trades", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=["db", "duckdb"], default="db")
    options = parser.parse_args()
    print(f"stock-db {stock_db.__version__}, pandas {pd.__version__}, polars {pl.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        if options.url is not None:
            measure(stock_db.connect(options.url), options, Path(folder))
            return
        with Server(engine=options.engine) as server:
            measure(stock_db.connect(server.url, timeout=600), options, Path(folder))


if __name__ == "__main__":
    main()
