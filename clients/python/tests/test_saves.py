"""Rows of every library, stored by a real server, and what it says of rows that it doesn't take."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import stock_db
from server import Server

STAMPS = pd.date_range("2024-01-02 14:30", periods=3, freq="1s", tz="UTC")
COLUMNS: dict[str, Any] = {"timestamp": list(STAMPS), "price": [1.5, 2.5, 3.5], "size": [1, 2, 3], "id": ["a", "b", "c"]}


@pytest.fixture
def db(server: Server) -> stock_db.Client:
    return stock_db.connect(server.url)


def with_ticker(ticker: str) -> dict[str, Any]:
    return {"ticker": [ticker] * 3, **COLUMNS}


FORMS: dict[str, Any] = {
    "pandas": lambda ticker: pd.DataFrame(with_ticker(ticker)),
    "pandas with an index": lambda ticker: pd.DataFrame(with_ticker(ticker)).set_index(["ticker", "timestamp"]),
    "pandas with categories": lambda ticker: pd.DataFrame(with_ticker(ticker)).astype({"ticker": "category"}),
    "polars": lambda ticker: pl.DataFrame(with_ticker(ticker)),
    "polars, lazy": lambda ticker: pl.DataFrame(with_ticker(ticker)).lazy(),
    "polars with categories": lambda ticker: pl.DataFrame(with_ticker(ticker)).cast({"ticker": pl.Categorical}),
    "a table": lambda ticker: pa.table(with_ticker(ticker)),
    "a batch": lambda ticker: pa.table(with_ticker(ticker)).to_batches()[0],
    "a reader": lambda ticker: pa.table(with_ticker(ticker)).to_reader(max_chunksize=2),
    "columns": with_ticker,
    "dicts": lambda ticker: pa.table(with_ticker(ticker)).to_pylist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_rows(db: stock_db.Client, form: str) -> None:
    ticker = f"F{list(FORMS).index(form)}"
    saved = db.save_trades(FORMS[form](ticker))
    assert (saved.rows, saved.stored, saved.warnings) == (3, 3, []) and ticker in saved.positions
    frame = db.trades(ticker).to_pandas()
    assert list(frame.index) == list(STAMPS)
    assert frame[["price", "size", "id"]].to_dict("list") == {
        name: COLUMNS[name] for name in ("price", "size", "id")
    }
    assert db.save_trades(FORMS[form](ticker)).repeated == 3


def test_what_was_read_can_be_saved(db: stock_db.Client) -> None:
    db.save_trades(with_ticker("BACK"))
    rows = db.trades(["BACK"])
    for again in (rows.to_arrow(), rows.to_pandas(), rows.to_polars(), rows):
        assert db.save_trades(again).repeated == 3


def test_names_of_a_vendor(db: stock_db.Client) -> None:
    frame = pl.DataFrame({"S": ["V"], "t": [1_704_205_800_000], "bp": [1.0], "bs": [2], "ap": [1.5], "as": [3]})
    assert db.save_quotes(frame).stored == 1
    assert db.quotes("V").to_polars()["ask_size"].to_list() == [3]
    bars = pd.DataFrame(
        {"Open": [1.0], "High": [2.0], "Low": [0.5], "Close": [1.5], "Volume": [10], "Adj Close": [1.4]},
        index=pd.DatetimeIndex(["2024-01-02"], tz="America/New_York", name="Date"),
    )
    with pytest.warns(stock_db.ServerWarning, match="Adj Close"):
        saved = db.save_bars(bars, timeframe="1Day", ticker="VB", tz="America/New_York")
    assert saved.stored == 1 and "Adj Close" in saved.warnings[0]
    assert db.bars("VB", tz="America/New_York").to_pandas().index[0] == bars.index[0]
    with pytest.raises(stock_db.RequestRefused, match="Adj Close"):
        db.save_bars(bars, timeframe="1Day", ticker="VC", tz="America/New_York", strict=True)


def test_stamps_without_a_zone(db: stock_db.Client) -> None:
    naive = pd.DataFrame({"price": [1.0]}, index=pd.DatetimeIndex(["2024-01-02 09:30"]))
    with pytest.raises(ValueError, match="zone"):
        db.save_trades(naive, ticker="NV")
    assert db.save_trades(naive, ticker="NV", tz="America/New_York").stored == 1
    assert db.trades("NV").to_pandas().index[0] == pd.Timestamp("2024-01-02 14:30", tz="UTC")
    with pytest.raises(ValueError, match="zone"):
        db.save_bars(pd.DataFrame({"close": [1.0]}, index=naive.index), timeframe="5Min", ticker="NV")


@pytest.mark.parametrize(
    "date", [dt.date(2024, 1, 2), np.datetime64("2024-01-02"), pd.Timestamp("2024-01-02"), "2024-01-02"], ids=str
)
def test_dates_of_daily_bars(db: stock_db.Client, date: object) -> None:
    bar = {"date": [date], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "volume": [float("nan")]}
    assert db.save_bars(pd.DataFrame(bar), timeframe="1Day", ticker="DATES").rows == 1
    frame = db.bars("DATES").to_pandas()
    assert list(frame.index) == [pd.Timestamp("2024-01-02", tz="UTC")] and frame["volume"].isna().all()


def test_what_has_no_value(db: stock_db.Client) -> None:
    frame = pl.DataFrame({"timestamp": list(STAMPS), "price": [1.0, float("nan"), None], "size": [None] * 3})
    assert db.save_trades(frame, ticker="HOLES").stored == 3
    assert db.trades("HOLES").to_polars()["price"].to_list() == [1.0, None, None]


def test_large_numbers_keep_their_digits(db: stock_db.Client) -> None:
    size = 2**53 + 1
    db.save_trades([{"timestamp": STAMPS[0], "price": 1.0, "size": size, "id": 2**63 - 1}], ticker="LARGE")
    row = db.trades("LARGE").to_pandas().iloc[0]
    assert row["size"] == size and row["id"] == str(2**63 - 1)


@pytest.mark.parametrize(
    ("data", "ticker", "message"),
    [
        (COLUMNS, None, "symbol"),
        (with_ticker("A"), "B", "beside the column"),
        (pd.DataFrame({("Close", "AAPL"): [1.0]}), "A", "levels"),
        (pd.DataFrame({1: [1.0]}), "A", "column called 1"),
        (pd.DataFrame({"timestamp": STAMPS}, index=STAMPS.rename("timestamp")), "A", "index and a column"),
    ],
)
def test_data_that_leaves_something_to_guess(db: stock_db.Client, data: Any, ticker: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        db.save_trades(data, ticker=ticker)


@pytest.mark.parametrize("data", ["x", 5, [1], pd.Series([1.0])], ids=str)
def test_data_of_another_type(db: stock_db.Client, data: Any) -> None:
    with pytest.raises(TypeError, match="data"):
        db.save_trades(data, ticker="A")


def test_nothing_is_stored_of_a_request_with_a_wrong_row(db: stock_db.Client) -> None:
    wrong = pa.table({**COLUMNS, "price": ["1.5", "2,50", "3"]})
    with pytest.raises(stock_db.RequestRefused, match="2,50"):
        db.save_trades(wrong, ticker="WRONG")
    with pytest.raises(ValueError, match="idempotency_key"):
        db.save_trades(COLUMNS, ticker="WRONG", idempotency_key="")
    assert db.save_trades(pa.table(COLUMNS).slice(0, 0), ticker="WRONG").rows == 0
    with pytest.warns(stock_db.ServerWarning):
        assert len(db.trades("WRONG")) == 0


def test_what_is_stored_when_a_later_part_is_refused(db: stock_db.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stock_db.saves.ROWS_MAX", 10)
    count = 35
    prices = ["1"] * count
    prices[25] = "no price"
    stamps = pd.date_range("2024-01-02 14:30", periods=count, freq="1s", tz="UTC")
    table = pa.table({"timestamp": stamps, "price": prices})
    with pytest.raises(stock_db.SaveFailed, match="rows 20 to 29 aren't stored.*no price") as told:
        db.save_trades(table, ticker="LATER")
    assert told.value.stored == ((0, 20),) and told.value.unknown == ()
    assert told.value.refused == ((20, count),)
    assert isinstance(told.value.__cause__, stock_db.RequestRefused)
    assert len(db.trades("LATER")) == 20


def test_a_body_that_is_too_large_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server("--max-body-mb", "1") as server:
        db = stock_db.connect(server.url)
        count = 12_000
        stamps = pd.date_range("2024-01-02 14:30", periods=count, freq="1ms", tz="UTC")
        rows = pd.DataFrame({"timestamp": stamps, "price": 1.0, "note": ["n" * 200] * count})
        with pytest.warns(stock_db.ServerWarning, match="note"):
            saved = db.save_trades(rows, ticker="BIG")
        assert saved.rows == saved.stored == count == len(db.trades("BIG"))
        packed = stock_db.connect(server.url, compress=True)
        assert len(packed.trades("BIG")) == count
        with pytest.warns(stock_db.ServerWarning, match="note"):
            assert packed.save_trades(rows.head(5_000), ticker="PACKED").stored == 5_000


def test_the_same_key_stores_nothing_twice(db: stock_db.Client) -> None:
    equal = {"timestamp": [STAMPS[0]] * 2, "price": [1.0] * 2}
    first = db.save_trades(equal, ticker="KEYED", idempotency_key="mine")
    again = db.save_trades(equal, ticker="KEYED", idempotency_key="mine")
    assert (first.stored, first.positions, again.positions) == (2, again.positions, first.positions)
    assert len(db.trades("KEYED")) == 2
    db.save_trades(equal, ticker="KEYED")
    assert len(db.trades("KEYED")) == 4
    with pytest.raises(stock_db.RequestRefused) as told:
        db.save_trades({**equal, "price": [2.0, 3.0]}, ticker="KEYED", idempotency_key="mine")
    assert told.value.status == 409


def test_duplicates_are_refused_where_asked(db: stock_db.Client) -> None:
    db.save_trades(COLUMNS, ticker="DUP")
    with pytest.raises(stock_db.RequestRefused) as told:
        db.save_trades(COLUMNS, ticker="DUP", on_duplicate="error")
    assert told.value.status == 409
