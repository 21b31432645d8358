"""The class of the Python server's programs: what they call, and the frames that they get."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pytest
import stock_db
from server import Server
from stock_db.compat import StockDBClient

T = TypeVar("T")


def run(server: Server, work: Any) -> Any:
    async def main() -> Any:
        async with StockDBClient(f"127.0.0.1:{server.port}", response_timeout=60) as db:
            return await work(db)

    return asyncio.run(main())


def test_daily_and_hourly_bars(server: Server) -> None:
    days = pd.date_range("2024-01-02", periods=3, name="date")
    bars = pd.DataFrame({"Open": 1.0, "high": [2.0, 3.0, np.nan], "low": 0.5, "close": 1.5, "volume": 10}, index=days)
    hours = pd.DataFrame(
        {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10},
        index=pd.date_range("2024-01-02 09:00", periods=2, freq="1h", tz="America/New_York", name="datetime"),
    )

    async def work(db: StockDBClient) -> tuple[pd.DataFrame, ...]:
        await db.save_stock_data(bars, "CB")
        await db.save_stock_data(hours, "CB", interval="hourly")
        await db.save_stock_data(bars.head(0), "CB")
        return (
            await db.get_stock_data("CB"),
            await db.get_stock_data("CB", "2024-01-03", "2024-01-03"),
            await db.get_stock_data("CB", interval="hourly"),
            await db.get_stock_data("NOBODY"),
        )

    daily, one, hourly, none = run(server, work)
    assert daily.index.name == "date" and list(daily.index) == list(days.tz_localize("UTC"))
    assert list(daily["open"]) == [1.0] * 3 and np.isnan(daily["high"].iloc[2]) and "ma_10" in daily
    assert len(one) == 1 and none.empty
    assert hourly.index.name == "datetime" and hourly.index[0] == pd.Timestamp("2024-01-02 14:00", tz="UTC")


def test_ticks_keep_equal_ones_also_over_several_requests(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stock_db.compat.ROWS_MAX", 4)
    stamps = pd.DatetimeIndex(["2024-01-02 14:30:00.123"] * 10, tz="UTC", name="timestamp")
    trades = pd.DataFrame({"price": 1.0, "size": [1] * 9 + [2]}, index=stamps)
    quotes = pd.DataFrame({"price": [1.0], "size": [2], "ask_price": [3.0], "ask_size": [4]}, index=stamps[:1])

    async def work(db: StockDBClient) -> tuple[pd.DataFrame, ...]:
        await db.save_realtime_data(trades, "CT", data_type="trade")
        # As loaders do that are started again.
        await db.save_realtime_data(trades, "CT", data_type="trade")
        await db.save_realtime_data(quotes, "CT")
        return (
            await db.get_realtime_data("CT", data_type="trade"),
            await db.get_realtime_data("CT", "2024-01-02T14:30:00Z", "2024-01-02T14:31:00Z"),
        )

    ticks, told = run(server, work)
    assert len(ticks) == 10 and ticks["size"].sum() == 11 and ticks.index.name == "timestamp"
    assert ticks.index[0] == stamps[0] and told["ask_price"].iloc[0] == 3.0


def test_prices_and_sql(server: Server) -> None:
    bars = pd.DataFrame(
        {"open": [1.0, 2.0], "high": [3.0, 3.0], "low": [1.0, 1.0], "close": [1.5, 2.5], "volume": [1, 2]},
        index=pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="date"),
    )

    async def work(db: StockDBClient) -> tuple[Any, ...]:
        await db.save_stock_data(bars, "CP")
        select = "SELECT ticker, close FROM daily_prices WHERE ticker = ? AND close > ?"
        return (
            await db.get_latest_price("CP"),
            await db.get_latest_prices(["CP", "NOBODY"]),
            await db.get_previous_close_prices(["CP"]),
            await db.get_today_opening_prices(["CP"]),
            (await db.execute_select_sql(select, ("CP", np.float64(2)))).to_dict("records"),
            await db.execute_raw_sql("CREATE TABLE IF NOT EXISTS own (a TEXT)"),
            await db.execute_raw_sql("INSERT INTO own VALUES (?) RETURNING a", ("x",)),
        )

    assert run(server, work) == (
        2.5,
        {"CP": 2.5, "NOBODY": None},
        {"CP": 1.5},
        {"CP": None},
        [{"ticker": "CP", "close": 2.5}],
        [],
        [{"a": "x"}],
    )


def test_options_and_figures(server: Server) -> None:
    chain = pd.DataFrame(
        {
            **{"option_ticker": ["O:CO400120C00150000", "O:CO400120P00150000"], "strike": 150.0},
            **{"expiration": pd.Timestamp("2040-01-20"), "type": ["call", "put"], "bid": [12.25, np.nan]},
        }
    )

    async def work(db: StockDBClient) -> tuple[Any, ...]:
        await db.save_options_data(chain, "CO")
        await db.save_financial_info("CO", {"date": pd.Timestamp("2024-01-02"), "price_to_earnings": 20.5})
        return (
            await db.get_options_data("CO", option_tickers=["O:CO400120C00150000"]),
            await db.get_latest_options_data("CO"),
            await db.get_option_price_feature("CO", "O:CO400120C00150000"),
            await db.get_financial_info("CO"),
        )

    options, latest, feature, figures = run(server, work)
    assert list(options["bid"]) == [12.25] and len(latest) == 2 and feature["bid"] == 12.25
    assert figures.index[0] == pd.Timestamp("2024-01-02", tz="UTC")
    assert figures["price_to_earnings"].iloc[0] == 20.5


def test_what_is_refused_says_why_at_once(server: Server) -> None:
    async def work(db: StockDBClient) -> None:
        with pytest.raises(ConnectionError, match="no_such_table") as told:
            await db.execute_select_sql("SELECT * FROM no_such_table")
        assert isinstance(told.value, stock_db.StockDBError)
        with pytest.raises(NotImplementedError):
            await db.get_merged_price_series("A")
        assert db.get_connection_settings()["max_retries"] == 10

    run(server, work)
