"""A feed and bots run while workers, the hub and the whole server are killed."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from live_processes import kill_one, restart
from live_programs import AsyncBot, Feed, SyncBot
from server import Server, until

TICKERS = ["KILL0", "KILL1", "KILL2"]


def stored_sizes(url: str, ticker: str) -> list[int]:
    with urllib.request.urlopen(f"{url}/v1/trades?symbol={ticker}&columns=s", timeout=30) as answer:
        return [row["s"] for row in json.load(answer)["trades"].get(ticker, [])]


def test_nothing_is_lost_repeated_or_out_of_order(tmp_path: Path) -> None:
    with Server("--heartbeat-interval", "0.5", workers=2) as server:
        state = tmp_path / "positions.json"
        first = AsyncBot(server.url, TICKERS, since=dict.fromkeys(TICKERS, 0), state=state)
        bots = [
            AsyncBot(server.url, TICKERS, since=dict.fromkeys(TICKERS, 0)),
            SyncBot(server.url, "*", since={}),
        ]
        feed = Feed(server.url, TICKERS, spool=tmp_path / "feed.spool")
        for program in [first, *bots, feed]:
            program.start()

        def goes_on() -> None:
            for program in [first, *bots, feed]:
                program.check()
            before = dict(feed.sizes)
            until(
                "rows come through",
                lambda: all(
                    len(bot.book.sizes[ticker]) > before[ticker] for bot in bots for ticker in TICKERS
                ),
            )

        goes_on()
        kill_one(server, "worker")
        goes_on()
        kill_one(server, "hub")
        goes_on()
        # A bot that ends and begins again with its state.
        first.finish()
        restart(server)
        second = AsyncBot(server.url, TICKERS, state=state)
        second.book = first.book
        second.start()
        goes_on()
        kill_one(server, "worker")
        goes_on()
        feed.finish()
        all_bots = [second, *bots]
        until("all came", lambda: all(bot.book.has(feed.sizes) for bot in all_bots))
        for bot in all_bots:
            assert bot.book.faults(feed.sizes) == []
        for ticker in TICKERS:
            assert sorted(stored_sizes(server.url, ticker)) == list(range(1, feed.sizes[ticker] + 1))
        assert feed.figures is not None
        assert feed.figures.acknowledged == sum(feed.sizes.values())
        assert feed.figures.refused == 0
        for bot in all_bots:
            bot.finish()
        # Each was killed away at least by the restart.
        assert all(bot.stream.figures.reconnects > 0 for bot in bots)
