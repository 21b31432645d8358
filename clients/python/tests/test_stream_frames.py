"""What a stream makes of frames that a server sends seldom: holes, gaps, bars that come again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stock_db.errors import NotAllowed
from stock_db.positions import StateFile
from stock_db.stream_core import Core, EndedByOperator, Reconnect, StreamOptions
from stock_db.stream_events import (
    FeedAlive,
    FeedsLeftOut,
    FeedStale,
    Gap,
    LiveBars,
    MissedUpdates,
    Snapshot,
    Trades,
)

STAMP = "2024-01-02T14:30:00.000000Z"


def core_of(*symbols: str, state: StateFile | None = None, **options: Any) -> Core:
    return Core(StreamOptions(symbols=symbols, **options), state)


def feed(core: Core, *frames: dict[str, Any]) -> None:
    core.feed(json.dumps({"type": "batch", "updates": [{"epoch": "E", **frame} for frame in frames]}))


def events(core: Core) -> list[Any]:
    found = []
    while (event := core.next()) is not None:
        found.append(event)
    return found


def trade(position: int, ticker: str = "A", **members: Any) -> dict[str, Any]:
    record = {"timestamp": STAMP, "price": 1, "size": position}
    return {"type": "trade", "ticker": ticker, "position": position, "records": [record], **members}


def beat(**positions: int) -> dict[str, Any]:
    return {"type": "heartbeat", "timestamp": STAMP, "positions": positions}


def snapshot(position: int) -> dict[str, Any]:
    members = {"quote": None, "trade": {"timestamp": STAMP, "price": 2, "size": 3}, "bars": {}}
    return {"type": "snapshot", "ticker": "A", "position": position, **members}


def asked(core: Core) -> list[dict[str, Any]]:
    return [json.loads(message) for message in core.messages()]


def test_a_hole_is_asked_for_again_and_then_told() -> None:
    core = core_of("A")
    feed(core, beat(A=1), trade(2))
    with pytest.raises(Reconnect, match="3 to 4"):
        feed(core, trade(5))
    assert [event.position for event in events(core)] == [2]
    (message,) = asked(core)
    assert (message["since"], message["epoch"]) == ({"A": 2}, "E")
    feed(core, trade(5), trade(6))
    gap, *rest = events(core)
    assert gap == Gap("A", 3, 4, "missed", "E")
    assert [event.position for event in rest] == [5, 6]


def test_a_heartbeat_that_is_ahead_shows_a_hole() -> None:
    core = core_of("A")
    feed(core, beat(A=1))
    with pytest.raises(Reconnect):
        feed(core, beat(A=2))
    # With some types alone, it is one of another type.
    core = core_of("A", types=("trade",))
    feed(core, beat(A=1), beat(A=2), trade(5))
    assert [event.position for event in events(core)] == [5]


def test_what_comes_again_is_left_out() -> None:
    core = core_of("A")
    feed(core, beat(A=1), trade(2), trade(2), trade(1), trade(3))
    assert [event.position for event in events(core)] == [2, 3]
    assert core.figures(None).repeated == 2


def test_folded_updates_are_no_hole() -> None:
    core = core_of("A", slow="conflate")
    feed(core, beat(A=1), trade(9, conflated=8))
    (event,) = events(core)
    assert (event.position, event.conflated) == (9, 8)


def test_a_gap_without_its_snapshot_is_made_good_on_the_next_connection(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    core = core_of("A", "B", state=StateFile(path))
    feed(core, beat(A=1, B=4))
    feed(core, {"type": "gap", "ticker": "A", "from": 2, "to": 5, "reason": "not_kept", "position": 5})
    assert events(core) == [Gap("A", 2, 5, "not_kept", "E")]
    assert core.state is not None
    core.state.close()
    path.write_text(core.state.handled.as_json())
    for again in (core, core_of("A", "B", state=StateFile(path))):
        known, anew = asked(again)
        assert (known["symbols"], known["since"]) == (["B"], {"B": 4})
        assert (anew["symbols"], anew["snapshot"], "since" in anew) == (["A"], True, False)
        feed(again, snapshot(7), trade(8))
        gap, found, update = events(again)
        assert gap == Gap("A", 6, 7, "not_kept", "E")
        assert isinstance(found, Snapshot)
        assert isinstance(update, Trades)
        assert [message["symbols"] for message in asked(again)] == [["A", "B"]]


def test_all_tickers_begin_where_the_first_heartbeat_says() -> None:
    core = core_of("*")
    assert "since" not in asked(core)[0]
    feed(core, beat(A=3), trade(1, "NEW"), trade(4))
    assert [event.ticker for event in events(core)] == ["NEW", "A"]
    assert asked(core)[0]["since"] == {"A": 4, "NEW": 1}
    with pytest.raises(Reconnect):
        feed(core, trade(2, "NEWER"))


def test_many_positions_come_back_by_time() -> None:
    core = core_of("*")
    feed(core, beat(**{f"TICKER{number}": 1 for number in range(20_000)}))
    (message,) = asked(core)
    assert message["since"] == STAMP


def test_live_bars_that_come_again_unchanged_are_left_out(tmp_path: Path) -> None:
    def bars(kind: str, close: float) -> dict[str, Any]:
        record = {"timestamp": STAMP, "end": STAMP, "open": 1, "high": 2, "low": 1, "close": close}
        members = {"records": [{**record, "volume": 1, "vwap": 1, "trade_count": 1}]}
        return {"type": kind, "ticker": "A", "position": 3, "timeframe": "1min", **members}

    path = tmp_path / "state.json"
    core = core_of("A", bars=("1Min",), state=StateFile(path))
    feed(core, beat(A=3), bars("bars", 1.5), bars("bars", 1.5), bars("updated_bars", 1.6))
    found = events(core)
    assert [(event.state, event.records[0].close) for event in found] == [("closed", 1.5), ("updated", 1.6)]
    assert core.state is not None
    path.write_text(core.state.handled.as_json())
    again = core_of("A", bars=("1Min",), state=StateFile(path))
    feed(again, bars("bars", 1.6), bars("partial_bars", 1.6), bars("bars", 1.7))
    found = events(again)
    assert all(isinstance(event, LiveBars) for event in found)
    assert [event.state for event in found] == ["running", "closed"]


def test_what_ends_a_stream_for_good() -> None:
    core = core_of("A")
    for code, kind in (("not_allowed", NotAllowed), ("ended_by_operator", EndedByOperator)):
        with pytest.raises(kind):
            feed(core, {"type": "error", "code": code, "error": "no"})
    with pytest.raises(NotAllowed):
        core.closed(4401, "")
    with pytest.raises(EndedByOperator):
        core.closed(4010, "")
    assert core.closed(1001, "") is None
    assert core.closed(1013, "") == 1.0
    with pytest.raises(Reconnect):
        feed(core, {"type": "error", "code": "unavailable", "error": "not subscribed to A"})


def test_pauses_grow_and_a_connection_that_serves_ends_that() -> None:
    core = core_of("A")
    assert core.pause(None) <= 0.1
    pauses = [core.pause(None) for _ in range(20)]
    assert 5 <= pauses[-1] <= 10
    assert core.pause(30.0) == 30.0
    feed(core, {"type": "subscription", "subscriptions": []})
    assert core.pause(None) <= 0.1


def test_feeds_and_bars_that_are_not_told() -> None:
    core = core_of("A", bars=("1Min",))
    feed_of_a = {"ticker": "A", "timestamp": STAMP, "data_type": "trade", "received": STAMP, "age": 120.2}
    core.feed(json.dumps({"type": "feed_stale", **feed_of_a, "newest": STAMP}))
    core.feed(json.dumps({"type": "feed_alive", **feed_of_a, "newest": None, "reason": "update"}))
    core.feed(json.dumps({"type": "feeds_left_out", "stale": 200, "alive": 0}))
    members = {"ticker": "A", "position": 3, "timeframe": "1min", "start": STAMP, "end": None}
    feed(core, {"type": "bars_gap", **members, "reason": "too_many"})
    stale, alive, left_out, gap = events(core)
    assert stale == FeedStale("A", "trade", None, STAMP, 120.2, STAMP)
    assert alive == FeedAlive("A", "trade", None, STAMP, 120.2, None, "update")
    assert left_out == FeedsLeftOut(200, 0)
    assert list(stale) == list(alive) == []
    with pytest.raises(MissedUpdates, match="too_many"):
        list(gap)
