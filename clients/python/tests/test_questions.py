"""Each question against a real server, on SQLite and on DuckDB, as each kind of frame."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import stock_db
from filled import DAYS, OPEN, TRADES, fill
from server import Server

NEW_YORK = "America/New_York"


@pytest.fixture(scope="module", params=["db", "duckdb"], ids=["SQLite", "DuckDB"])
def db(request: pytest.FixtureRequest) -> Iterator[stock_db.Client]:
    with Server(engine=request.param) as server:
        with fill(server.url) as client:
            yield client


def test_bars_of_one_ticker_have_their_stamps_as_index(db: stock_db.Client) -> None:
    frame = db.bars("AAPL", start="2024-01-01", end=dt.date(2024, 1, 5)).to_pandas()
    assert list(frame.index) == list(pd.date_range("2024-01-01", periods=5, tz="UTC"))
    assert frame.index.name == "timestamp" and "symbol" not in frame
    assert list(frame["close"]) == [100.5, 101.5, 102.5, 103.5, 104.5]
    assert str(frame["volume"].dtype) == "int64" and str(frame["close"].dtype) == "float64"
    assert str(frame["trade_count"].dtype) == "Int64" and frame["trade_count"].isna().all()


def test_bars_of_several_have_tickers_and_stamps_as_index(db: stock_db.Client) -> None:
    rows = db.bars(["SPY", "AAPL"], tz=NEW_YORK, columns=["close"])
    frame = rows.to_pandas()
    assert frame.index.names == ["symbol", "timestamp"] and len(frame) == 2 * DAYS
    assert frame.loc["SPY", "close"].iloc[0] == 301.5
    assert frame.loc[("AAPL", pd.Timestamp("2024-01-02", tz=NEW_YORK)), "close"] == 101.5
    assert frame.groupby("symbol")["close"].count().to_dict() == {"AAPL": DAYS, "SPY": DAYS}
    plain = rows.to_pandas(index="none")
    assert list(plain.columns) == ["symbol", "timestamp", "close"] and plain["symbol"].iloc[-1] == "SPY"
    assert str(rows.to_pandas(index="none", categories=True)["symbol"].dtype) == "category"


def test_polars_and_arrow(db: stock_db.Client) -> None:
    rows = db.bars("A*", columns="close,volume", tz=ZoneInfo(NEW_YORK))
    frame = rows.to_polars()
    assert frame.schema == pl.Schema(
        {
            **{"symbol": pl.String, "timestamp": pl.Datetime("us", NEW_YORK)},
            **{"close": pl.Float64, "volume": pl.Int64},
        }
    )
    assert frame.filter(pl.col("symbol") == "AAB").height == DAYS
    assert isinstance(rows.to_polars(categories=True).schema["symbol"], pl.Categorical)
    assert rows.to_arrow().schema.field("timestamp").type == pa.timestamp("us", NEW_YORK)
    assert pl.DataFrame(rows).height == pa.table(rows).num_rows == len(rows) == 2 * DAYS


def test_matrix(db: stock_db.Client) -> None:
    frame = db.bars(["AAPL", "SPY"], layout="wide", columns=["close"]).to_pandas()
    assert list(frame.columns) == ["AAPL", "SPY"] and frame.shape == (DAYS, 2)
    assert frame.index.name == "timestamp" and frame.iloc[1].to_list() == [101.5, 304.5]
    with pytest.raises(ValueError, match="limit"):
        db.bars("AAPL", layout="wide", limit=1)


def test_adjusted_bars(db: stock_db.Client) -> None:
    frame = db.bars("AAPL", adjustment="split").to_pandas()
    assert frame["close"].iloc[0] == pytest.approx(100.5 / 4) and frame["volume"].iloc[0] == 4_000


def test_trades_with_counts_that_are_missing(db: stock_db.Client) -> None:
    frame = db.trades("AAPL", tz=NEW_YORK).to_pandas()
    assert len(frame) == TRADES and str(frame.index.dtype) == f"datetime64[us, {NEW_YORK}]"
    assert str(frame["size"].dtype) == "Int64" and frame["size"].iloc[7] is pd.NA
    assert frame["id"].iloc[0] == "1000" and frame["conditions"].iloc[0] == '["@","I"]'


def test_limits_count_rows_and_pages_are_followed(db: stock_db.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stock_db.rows.PAGE_MAX", 7)
    assert len(db.trades("AAPL", limit=20)) == 20
    assert len(db.trades("AAPL", limit=1_000)) == TRADES
    newest = db.trades("AAPL", limit=9, sort="desc").to_pandas()
    assert list(newest["id"]) == [str(1_049 - i) for i in range(9)]
    batches = list(db.bars("*").batches(page_size=7))
    assert sum(batch.num_rows for batch in batches) == 3 * DAYS and len(batches) >= 3 * DAYS / 7
    with pytest.raises(ValueError, match="limit"):
        db.trades("AAPL", limit=0)
    with pytest.raises(ValueError, match="page_size"):
        next(db.trades("AAPL").batches(page_size=0))


@pytest.mark.parametrize(
    "start",
    [
        "2024-01-02T14:30:10Z",
        dt.datetime(2024, 1, 2, 14, 30, 10, tzinfo=dt.timezone.utc),
        dt.datetime(2024, 1, 2, 9, 30, 10, tzinfo=ZoneInfo(NEW_YORK)),
        OPEN + pd.Timedelta(seconds=10),
        (OPEN + pd.Timedelta(seconds=10)).tz_convert("Asia/Tokyo"),
        1_704_205_810,
        np.int64(1_704_205_810_000),
    ],
    ids=str,
)
def test_every_way_to_write_a_moment(db: stock_db.Client, start: object) -> None:
    assert len(db.trades("AAPL", start=start)) == 10


@pytest.mark.parametrize(
    "naive",
    [
        dt.datetime(2024, 1, 2, 9, 30, 10),
        pd.Timestamp("2024-01-02 09:30:10"),
        np.datetime64("2024-01-02T09:30:10"),
    ],
    ids=["datetime", "pandas", "numpy"],
)
def test_a_moment_without_a_zone_is_of_tz_or_refused(db: stock_db.Client, naive: object) -> None:
    assert len(db.trades("AAPL", start=naive, tz=NEW_YORK)) == 10
    with pytest.raises(ValueError, match="zone"):
        db.trades("AAPL", start=naive)


def test_dates_are_days_of_tz(db: stock_db.Client) -> None:
    for day in (dt.date(2024, 1, 2), "2024-01-02", np.datetime64("2024-01-02")):
        assert len(db.trades("AAPL", start=day, end=day, tz=NEW_YORK)) == TRADES
        assert len(db.trades("AAPL", start=day, end=day, tz="Pacific/Kiritimati")) == 0
    for wrong in (pd.NaT, float("nan"), ""):
        with pytest.raises(ValueError, match="start"):
            db.trades("AAPL", start=wrong)
    with pytest.raises(TypeError, match="start"):
        db.trades("AAPL", start=["2024"])


def test_bars_of_sessions_made_of_trades(db: stock_db.Client) -> None:
    with pytest.warns(stock_db.ServerWarning, match="made of trades"):
        frame = db.bars("AAPL", timeframe="5Min", session="regular", tz=NEW_YORK).to_pandas()
    assert list(frame.index) == [pd.Timestamp("2024-01-02 09:30", tz=NEW_YORK)]
    assert frame["trade_count"].iloc[0] == TRADES


def test_asof_latest_snapshots(db: stock_db.Client) -> None:
    joined = db.asof("AAPL", tolerance=dt.timedelta(seconds=5), columns=["price"]).to_pandas()
    assert joined["quote_bid_price"].notna().sum() == 21 and len(joined) == TRADES
    with pytest.raises(ValueError, match="tolerance"):
        db.asof("AAPL", tolerance=dt.timedelta(microseconds=5))
    assert db.latest(["AAPL"]).to_pandas().loc["AAPL", "price"] == 112.25
    assert db.latest("AAPL", of="bars", timeframe="1Day").to_pandas().loc["AAPL", "close"] == 129.5
    snapshot = db.snapshots("*").to_pandas()
    assert snapshot.loc["SPY", "daily_bar_close"] == 388.5
    assert snapshot.loc["AAPL", "latest_quote_ask_size"] == 4


def test_latest_of_more_tickers_than_a_request_takes(
    db: stock_db.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stock_db.client.SNAPSHOTS_MAX", 2)
    assert list(db.snapshots(["AAPL", "AAB", "SPY"]).to_pandas().index) == ["AAB", "AAPL", "SPY"]


def test_actions_options_tickers(db: stock_db.Client) -> None:
    actions = db.corporate_actions("AAPL", start=dt.date(2024, 1, 1)).to_pandas()
    assert list(actions.index) == [pd.Timestamp("2024-01-11"), pd.Timestamp("2024-01-21")]
    assert db.corporate_actions(["AAPL"]).to_pandas().loc["AAPL"]["ratio"].iloc[0] == 4
    chain = db.option_chain("AAPL", type="call", strike_price_gte=100, expiration_date_gte=dt.date(2030, 1, 1))
    assert chain.to_pandas().loc["AAPL400120C00150000", "bid"] == 12.25
    assert list(db.tickers("A*").to_pandas()["symbol"]) == ["AAB", "AAPL"]
    series = db.tickers(series=True, kind="ticks").to_polars()
    assert set(series["series"]) == {"trade", "quote"} and series["first"][0] is not None


def test_sql_takes_parameters_and_gives_types(db: stock_db.Client) -> None:
    statement = "SELECT ticker, count(*) AS n, avg(close) AS mean, NULL AS missing FROM daily_prices WHERE date >= ? AND ticker = ? GROUP BY ticker"
    frame = db.sql(statement, [dt.date(2024, 1, 29), "AAPL"]).to_pandas()
    assert frame.to_dict("records") == [{"ticker": "AAPL", "n": 2, "mean": 129.0, "missing": None}]
    assert db.sql(statement, ["2030-01-01", np.str_("AAPL")]).to_polars().is_empty()
    since = OPEN + pd.Timedelta(seconds=10)
    assert db.sql("SELECT id FROM realtime_data WHERE type = 'trade' AND timestamp >= ?", [since]).to_arrow().num_rows == 10
    with pytest.raises(stock_db.RequestRefused, match="no_such"):
        db.sql("SELECT * FROM no_such")
    with pytest.raises(TypeError, match=r"params\[0\]"):
        db.sql("SELECT ?", [object()])
    with pytest.raises(ValueError, match="zone"):
        db.sql("SELECT ?", [dt.datetime(2024, 1, 1)])


def test_positions_and_warnings_come_with_the_rows(db: stock_db.Client) -> None:
    with pytest.warns(stock_db.ServerWarning, match="APPL"):
        rows = db.trades(["AAPL", "APPL"], with_position=True)
        assert len(rows) == TRADES
    assert rows.positions["AAPL"] > 0 and rows.epoch
    assert any("APPL" in text for text in rows.warnings)


def test_the_server_says_what_is_wrong(db: stock_db.Client) -> None:
    with pytest.raises(stock_db.RequestRefused, match="timeframe") as told:
        db.bars("AAPL", timeframe="5 parsecs").to_arrow()
    assert told.value.status == 400 and "error" in told.value.body
    for wrong in ([], "", [1]):
        with pytest.raises((TypeError, ValueError), match="symbols"):
            db.bars(wrong)  # type: ignore[arg-type]


def test_a_loop_reads_the_answer_batch_by_batch(db: stock_db.Client) -> None:
    rows = db.trades("AAPL")
    assert sum(batch.num_rows for batch in rows) == TRADES
    assert "not read yet" in repr(rows) and len(rows) == TRADES and f"{TRADES} rows" in repr(rows)
    for _ in db.bars("*"):
        break
    assert len(db.bars("*")) == 3 * DAYS
