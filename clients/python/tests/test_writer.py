"""A writer against a real server: what is stored, what is refused, and what is told."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.request
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
import stock_db
from server import Server, until
from stock_db.writer import (
    NotStored,
    RefusedRow,
    RowError,
    RowsRefused,
    SyncWriter,
    WriterFull,
    WriterStopped,
)

NOON = datetime(2024, 1, 2, 12, tzinfo=timezone.utc)


def rows_of(url: str, table: str, ticker: str, query: str = "") -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/v1/{table}?symbol={ticker}{query}", timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)[table].get(ticker, [])
        return found


class DeadPort:
    """An address where nobody listens, until somebody does."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()


def test_rows_of_all_kinds_are_stored(server: Server) -> None:
    async def run() -> None:
        async with stock_db.connect(server.url).writer() as writer:
            trade = await writer.trade(
                *("WKINDS", NOON, 187.15, 100),
                id="a,1",
                exchange="V",
                conditions=["@", "I"],
                tape="C",
                extra={"k": 'x"y'},
            )
            await writer.quote("WKINDS", 1704205800123456, 1, Decimal("2.50"), None, 4, bid_exchange="P")
            await writer.bar("WKINDS", "2024-01-02", 1, 3, 0.5, 2, 10, timeframe="1Day", vwap=1.5)
            await trade.stored()
            await writer.flush()
            assert writer.figures.acknowledged == 3

    asyncio.run(run())
    assert rows_of(server.url, "trades", "WKINDS", "&columns=p,s,i,x,c,z,extra") == [
        {
            **{"t": "2024-01-02T12:00:00.000000Z", "p": 187.15, "s": 100, "i": "a,1", "x": "V"},
            **{"c": ["@", "I"], "z": "C"},
            "extra": {"k": 'x"y', "exchange": "V", "conditions": ["@", "I"], "tape": "C"},
        }
    ]
    quote = {"t": "2024-01-02T14:30:00.123456Z", "bp": 1, "bs": 2.5, "bx": "P", "ap": None, "as": 4}
    assert rows_of(server.url, "quotes", "WKINDS") == [quote]
    (bar,) = rows_of(server.url, "bars", "WKINDS", "&timeframe=1Day")
    assert (bar["o"], bar["h"], bar["l"], bar["c"], bar["v"], bar["vw"]) == (1, 3, 0.5, 2, 10, 1.5)


def test_equal_trades_without_an_id_are_all_kept(server: Server) -> None:
    with stock_db.connect(server.url).writer(batch_rows=7) as writer:
        for _ in range(50):
            writer.trade("WEQUAL", NOON, 10, 1)
    assert len(rows_of(server.url, "trades", "WEQUAL")) == 50


def test_a_call_that_is_not_awaited_loses_nothing(server: Server) -> None:
    async def run() -> None:
        async with stock_db.connect(server.url).writer(queue_rows=10, batch_rows=5) as writer:
            for size in range(15):
                writer.trade("WPLAIN", NOON, 1, size)

    asyncio.run(run())
    assert [row["s"] for row in rows_of(server.url, "trades", "WPLAIN")] == list(range(15))


def test_a_refused_row_is_told_and_holds_nothing_up(server: Server) -> None:
    told: list[RefusedRow] = []

    def write(writer: SyncWriter) -> None:
        writer.trade("WBAD", NOON, 1, 1)
        bad = writer.trade("WBAD", "nonsense", 2, 2)
        writer.trade("WBAD2", "worse", 2, 2)
        good = writer.trade("WBAD", NOON, 3, 3)
        good.stored(60)
        with pytest.raises(RowsRefused) as refusal:
            bad.stored(60)
        assert refusal.value.rows[0].row["timestamp"] == "nonsense"
        assert "nonsense" in refusal.value.rows[0].error

    db = stock_db.connect(server.url)
    with db.writer(on_refused=told.append) as writer:
        write(writer)
        writer.flush()
        assert writer.figures.refused == 2
    assert [row.row["symbol"] for row in told] == ["WBAD", "WBAD2"]
    # Without a callback, `flush` and the end tell.
    with pytest.raises(RowsRefused) as ending, db.writer() as writer:
        write(writer)
    assert ending.value.count == 2
    assert [row["s"] for row in rows_of(server.url, "trades", "WBAD")] == [1, 3, 1, 3]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("", NOON, 1), "ticker"),
        (("A", datetime(2024, 1, 2), 1), "zone"),
        (("A", NOON, float("nan")), "price"),
        (("A", NOON, "1"), "price"),
        (("A", NOON, True), "price"),
        (("A", 20240102, 1), "timestamp"),
        (("A", None, 1), "timestamp"),
    ],
)
def test_what_cannot_be_a_row_is_refused_at_the_call(
    server: Server, arguments: tuple[Any, ...], what: str
) -> None:
    with stock_db.connect(server.url).writer() as writer:
        with pytest.raises(RowError, match=what):
            writer.trade(*arguments)
        assert writer.figures.taken == 0


def test_a_full_queue_waits_for_the_server() -> None:
    port = DeadPort()
    try:

        async def run() -> None:
            async with stock_db.connect(port.url).writer(queue_rows=5, close_timeout=0.1) as writer:
                for _ in range(4):
                    await writer.trade("A", NOON, 1, 1)
                with pytest.raises(asyncio.TimeoutError):
                    await with_timeout(writer.trade("A", NOON, 1, 1))
                for _ in range(5):
                    writer.trade("A", NOON, 1, 1)
                with pytest.raises(WriterFull):
                    for _ in range(5):
                        writer.trade("A", NOON, 1, 1)

        with pytest.raises(NotStored) as ending:
            asyncio.run(run())
        assert ending.value.count == len(ending.value.rows) > 0
        assert ending.value.rows[0][1]["symbol"] == "A"
    finally:
        port.close()


def test_a_server_that_comes_later(server: Server) -> None:
    """The batches that failed go again, in their order."""
    with Server() as late:
        late.kill()
        db = stock_db.connect(late.url)
        with db.writer(batch_rows=3) as writer:
            for size in range(10):
                writer.trade("WLATE", NOON, 1, size)
            until("it is noticed", lambda: writer.figures.trouble is not None)
            assert writer.figures.acknowledged == 0
            assert writer.figures.oldest_wait > 0
            late.start()
            writer.flush(60)
            assert writer.figures.retries > 0
            assert writer.figures.trouble is None
        assert [row["s"] for row in rows_of(late.url, "trades", "WLATE")] == list(range(10))


def test_a_key_that_may_not_write_stops_the_writer(keyed_server: Any) -> None:
    db = stock_db.connect(keyed_server.url, key=keyed_server.reader)
    with pytest.raises((NotStored, WriterStopped)) as ending, db.writer() as writer:
        receipt = writer.trade("A", NOON, 1, 1)
        with pytest.raises(WriterStopped, match="scope write"):
            receipt.stored(60)
        with pytest.raises(WriterStopped):
            writer.trade("A", NOON, 1, 1)
    assert keyed_server.reader not in str(ending.value)


def test_several_threads_share_a_sync_writer(server: Server) -> None:
    with stock_db.connect(server.url).writer(queue_rows=50, batch_rows=20) as writer:

        def write(number: int) -> None:
            for size in range(200):
                writer.trade(f"WTHREAD{number}", NOON, 1, size)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    for number in range(3):
        rows = rows_of(server.url, "trades", f"WTHREAD{number}")
        assert [row["s"] for row in rows] == list(range(200))


async def with_timeout(awaitable: Any) -> None:
    async def wait() -> None:
        await awaitable

    await asyncio.wait_for(wait(), 0.3)
