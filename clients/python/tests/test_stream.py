"""A stream against a real server: what comes, what counts as handled, and what is told."""

from __future__ import annotations

import asyncio
import inspect
import json
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import stock_db
from live_proxy import Proxy
from server import Server
from stock_db.client import Client
from stock_db.errors import ConnectionLost, NotAllowed, RequestRefused
from stock_db.positions import StateUnreadable
from stock_db.rows import ServerWarning
from stock_db.stream import (
    Bar,
    Deleted,
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
    Stream,
    Ticks,
    Trade,
    Trades,
)
from stock_db.writer import Writer

NOON = "2024-01-02T12:00:00.000000Z"


def post(url: str, table: str, rows: dict[str, Any], query: str = "") -> dict[str, Any]:
    return send(f"{url}/v1/{table}{query}", {table: rows})


def command(url: str, name: str, **params: Any) -> dict[str, Any]:
    return send(f"{url}/db_command", {"command": name, "params": params})


def send(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def save_trades(url: str, ticker: str, *sizes: int) -> dict[str, Any]:
    """One save, and update, each."""
    answer: dict[str, Any] = {}
    for size in sizes:
        answer = post(url, "trades", {ticker: [{"t": NOON, "p": 1, "s": size, "i": str(size)}]})
    return answer


def sizes_of(events: list[Any]) -> list[Any]:
    return [trade.size for event in events if isinstance(event, Trades) for trade in event]


def take(stream: Iterator[Any], count: int) -> list[Any]:
    return [next(stream) for _ in range(count)]


def test_every_kind_of_update_is_typed(server: Server) -> None:
    url, ticker = server.url, "SKINDS"
    post(url, "trades", {ticker: [{"t": NOON, "p": 10.5, "s": 3, "i": 7, "x": "V"}]})
    post(url, "quotes", {ticker: [{"t": NOON, "bp": 1, "bs": 2, "ap": 3, "as": 4}]})
    bar = {"t": "2024-01-02", "o": 1, "h": 2, "l": 0.5, "c": 1.5, "v": 9}
    post(url, "bars", {ticker: [bar]}, "?timeframe=1Day")
    data = [{"timestamp": NOON, "price": 1, "size": 2}]
    command(url, "save_realtime_data", ticker=ticker, data_type="depth", index_col="timestamp", data=data)
    action = [{"type": "split", "ex_date": "2024-01-03", "ratio": 2}]
    command(url, "save_corporate_actions", ticker=ticker, data=action)
    command(url, "delete_ticks", ticker=ticker, data_type="trade", all=True)
    command(url, "rename_ticker", ticker=ticker, new_ticker=f"{ticker}NEW")
    with stock_db.connect(url).stream(ticker, since=0) as stream:
        trades, quotes, bars, ticks, actions, deleted, renamed = take(stream, 7)
        epoch = stream.epoch
    assert isinstance(trades, Trades)
    (trade,) = trades
    assert trade == Trade(ticker, NOON, 10.5, 3, "7", extra={"exchange": "V"})
    assert trade.time == datetime(2024, 1, 2, 12, tzinfo=timezone.utc)
    assert (trades.position, trades.epoch) == (1, epoch)
    assert isinstance(quotes, Quotes)
    assert list(quotes) == [Quote(ticker, NOON, 1, 2, 3, 4)]
    assert isinstance(bars, SavedBars)
    assert bars.interval == "daily"
    assert next(iter(bars))[:7] == Bar(ticker, "2024-01-02T00:00:00.000000Z", 1, 2, 0.5, 1.5, 9)[:7]
    assert isinstance(ticks, Ticks)
    assert (ticks.data_type, next(iter(ticks)).size) == ("depth", 2)
    assert isinstance(actions, OtherRows)
    assert actions.kind == "corporate_action"
    assert actions.records[0]["ex_date"] == "2024-01-03T00:00:00.000000Z"
    assert isinstance(deleted, Deleted)
    assert (deleted.data_type, deleted.removed, list(deleted)) == ("trade", 1, [])
    assert isinstance(renamed, Renamed)
    assert (renamed.old, renamed.new, renamed.position) == (ticker, f"{ticker}NEW", 7)


def test_an_event_is_handled_when_the_next_is_asked_for(server: Server, tmp_path: Path) -> None:
    db, state = stock_db.connect(server.url), tmp_path / "positions.json"
    save_trades(server.url, "SSTATE", 1, 2, 3, 4)
    with db.stream("SSTATE", since={"SSTATE": 0}, state=state) as stream:
        assert sizes_of(take(stream, 2)) == [1, 2]
        assert stream.positions == {"SSTATE": 1}
    # The second was not handled: its program may have failed at it.
    with db.stream("SSTATE", state=state) as stream:
        assert sizes_of(take(stream, 2)) == [2, 3]
        stream.handled()
    save_trades(server.url, "SSTATE", 5)
    with db.stream("SSTATE", state=state) as stream:
        assert sizes_of(take(stream, 2)) == [4, 5]
        stream.handled()
        written = {"SSTATE": 5}
    assert json.loads(state.read_text())["positions"] == written
    state.write_text("{")
    with pytest.raises(StateUnreadable, match=str(state)):
        db.stream("SSTATE", state=state)


def test_a_state_is_kept_where_the_program_just_ends(server: Server, tmp_path: Path) -> None:
    state = tmp_path / "positions.json"
    save_trades(server.url, "SEXIT", 1, 2)

    def run() -> None:
        for event in stock_db.connect(server.url).stream("SEXIT", since=0, state=state, state_seconds=3600):
            if sizes_of([event]) == [2]:
                break

    run()
    assert json.loads(state.read_text())["positions"] == {"SEXIT": 1}


def test_types_and_new_updates(server: Server) -> None:
    async def run() -> None:
        async with stock_db.connect(server.url).stream(["STYPES", "SOTHER"], types="trade") as stream:
            first = asyncio.ensure_future(anext_of(stream))
            while "STYPES" not in stream.positions:
                await asyncio.sleep(0.02)
            await asyncio.to_thread(post, server.url, "quotes", {"STYPES": [{"t": NOON, "bp": 1}]})
            await asyncio.to_thread(save_trades, server.url, "STYPES", 1)
            event = await first
            assert isinstance(event, Trades)
            assert (event.ticker, event.position) == ("STYPES", 2)

    asyncio.run(run())


def test_to_wait_for_some_time_only_loses_nothing(server: Server) -> None:
    async def run() -> None:
        async with stock_db.connect(server.url).stream("SWAIT", since=0) as stream:
            seen: list[Any] = []
            for size in (1, 2, 3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(anext_of(stream), 0.2)
                await asyncio.to_thread(save_trades, server.url, "SWAIT", size)
                seen.append(await stream.__anext__())
            assert sizes_of(seen) == [1, 2, 3]
            assert stream.figures.reconnects == 0

    asyncio.run(run())


async def anext_of(stream: Any) -> Any:
    return await stream.__anext__()


def test_positions_that_are_not_those_of_the_server(server: Server) -> None:
    db = stock_db.connect(server.url)
    save_trades(server.url, "SAHEAD", 1, 2)
    with db.stream("SAHEAD", since=9) as stream:
        gap, snapshot = take(stream, 2)
        assert isinstance(gap, Gap)
        assert gap.reason == "position_ahead"
        assert isinstance(snapshot, Snapshot)
        assert snapshot.position == 2
        assert snapshot.trade is not None
        save_trades(server.url, "SAHEAD", 3)
        assert sizes_of(take(stream, 1)) == [3]
    with pytest.raises(MissedUpdates, match="SAHEAD"):
        list(gap)
    with db.stream("SAHEAD", since={"SAHEAD": 1}, epoch="another") as stream:
        new, snapshot = take(stream, 2)
        assert isinstance(new, NewEpoch)
        assert (new.before, new.epoch) == ("another", stream.epoch)
        assert isinstance(snapshot, Snapshot)
        assert stream.positions == {}
        stream.handled()
        assert stream.positions == {"SAHEAD": 3}
    with db.stream("SAHEAD", snapshot=True) as stream:
        assert isinstance(next(stream), Snapshot)


def test_a_time_to_begin_at(server: Server) -> None:
    before = datetime.now(timezone.utc)
    save_trades(server.url, "STIME", 1, 2)
    with stock_db.connect(server.url).stream("STIME", since=before) as stream:
        assert sizes_of(take(stream, 2)) == [1, 2]


def test_live_bars(server: Server) -> None:
    save_trades(server.url, "SBARS", 1)
    with stock_db.connect(server.url).stream("SBARS", bars="1Min", since=1) as stream:
        save_trades(server.url, "SBARS", 2)
        event = next(stream)
        assert isinstance(event, LiveBars)
        assert (event.state, event.timeframe, event.position) == ("updated", "1min", 2)
        (bar,) = event
        assert (bar.timestamp, bar.volume, bar.trade_count) == (NOON, 3, 2)


def test_history_and_what_follows(server: Server) -> None:
    db = stock_db.connect(server.url)
    save_trades(server.url, "SJOIN", 1, 2)
    with pytest.warns(ServerWarning, match="SJOINNEW"):
        rows, live = db.history_then_live(["SJOIN", "SJOINNEW"], start="2024-01-01")
    save_trades(server.url, "SJOIN", 3)
    save_trades(server.url, "SJOINNEW", 4)
    with live:
        assert rows.to_arrow().column("size").to_pylist() == [1, 2]
        assert sorted(sizes_of(take(live, 2))) == [3, 4]


def test_bars_of_history_and_those_that_follow(server: Server) -> None:
    db = stock_db.connect(server.url)
    save_trades(server.url, "SJOINBARS", 1)
    with pytest.warns(ServerWarning, match="made of trades"):
        rows, live = db.history_then_live("SJOINBARS", of="bars", timeframe="1Min", start="2024-01-01")
    save_trades(server.url, "SJOINBARS", 2)
    with live:
        assert rows.to_arrow().column("volume").to_pylist() == [1]
        event = next(live)
        assert isinstance(event, LiveBars)
        assert [bar.volume for bar in event] == [3]
    with pytest.raises(ValueError, match="timeframe"):
        db.history_then_live("SJOINBARS", of="bars")


def test_all_tickers_of_history_and_what_follows(server: Server) -> None:
    save_trades(server.url, "SJOINALL", 1)
    rows, live = stock_db.connect(server.url).history_then_live("*", start="2024-01-01")
    save_trades(server.url, "SJOINALL", 2)
    save_trades(server.url, "SJOINALLNEW", 3)
    with live:
        assert "SJOINALL" in rows.to_arrow().column("symbol").to_pylist()
        assert sizes_of(take(live, 2)) == [2, 3]


def test_a_dead_connection_is_noticed(server: Server) -> None:
    proxy = Proxy(server.port)
    save_trades(server.url, "SMUTE", 1)
    try:
        with stock_db.connect(proxy.url).stream("SMUTE", since=0, silence_seconds=2.5) as stream:
            assert sizes_of(take(stream, 1)) == [1]
            proxy.mute()
            save_trades(server.url, "SMUTE", 2)
            assert sizes_of(take(stream, 1)) == [2]
            assert stream.figures.reconnects == 1

        async def run() -> None:
            async with stock_db.connect(proxy.url).stream("SMUTE", since=1, silence_seconds=2.5) as stream:
                assert sizes_of([await stream.__anext__()]) == [2]
                proxy.mute()
                await asyncio.to_thread(save_trades, server.url, "SMUTE", 3)
                assert sizes_of([await stream.__anext__()]) == [3]

        asyncio.run(run())
    finally:
        proxy.close()


def test_what_is_of_no_use_to_repeat(keyed_server: Any) -> None:
    url = keyed_server.url
    with pytest.raises(NotAllowed), stock_db.connect(url, key="sdb_wrong").stream("A") as stream:
        next(stream)
    db = stock_db.connect(url, key=keyed_server.reader)
    with pytest.raises(RequestRefused, match=r"bars"), db.stream("A", bars="never") as stream:
        next(stream)
    nobody = stock_db.connect("http://127.0.0.1:9")
    stream = nobody.stream("A", begin_seconds=0.3)
    with pytest.raises(ConnectionLost, match=r"127\.0\.0\.1:9"), stream:
        next(stream)


def test_the_client_has_the_defaults_of_what_it_makes() -> None:
    for method, made in ((Client.writer, Writer), (Client.stream, Stream)):
        told = inspect.signature(method).parameters
        for name, parameter in inspect.signature(made).parameters.items():
            if name != "connection":
                assert (name, told[name].default) == (name, parameter.default)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"symbols": []}, "symbols"),
        ({"symbols": "*", "bars": "1Min"}, "symbols"),
        ({"symbols": ["A", "B"], "since": 3}, "since"),
        ({"symbols": ["A*"]}, "patterns"),
        ({"symbols": "A", "slow": "never"}, "slow"),
        ({"symbols": "A", "partial": "1s"}, "bars"),
        ({"symbols": "A", "since": datetime(2024, 1, 2)}, "zone"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        stock_db.connect("http://127.0.0.1:9").stream(**arguments)


def test_a_program_that_reads_too_slowly_loses_nothing() -> None:
    """The server sends it away, and it comes back for what it hasn't had."""
    count, text = 80, "x" * 400_000
    with Server("--ws-queue-kb", "64") as server:
        with stock_db.connect(server.url).stream("SSLOW", since=0) as stream:
            save_trades(server.url, "SSLOW", 1)
            assert sizes_of(take(stream, 1)) == [1]
            for size in range(2, count + 1):
                row = {"t": NOON, "p": 1, "s": size, "i": str(size), "extra": {"text": text}}
                post(server.url, "trades", {"SSLOW": [row]})
            assert sizes_of(take(stream, count - 1)) == list(range(2, count + 1))
            assert stream.figures.reconnects >= 1
