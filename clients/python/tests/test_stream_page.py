"""The lines of docs/python-live.md, run as a user pastes them."""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import stock_db
from server import PROJECT, Server
from test_writer import rows_of

PAGE = (PROJECT / "docs" / "python-live.md").read_text()
FEED, BOT, JOINED = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
NOON = datetime(2024, 1, 2, 12, tzinfo=timezone.utc)


class Enough(Exception):
    pass


async def run(lines: str, **names: Any) -> None:
    exec("async def main():\n" + textwrap.indent(lines, "    "), names)
    await names["main"]()


def test_the_feed_the_bot_and_the_join(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    db = stock_db.connect(server.url)

    async def exchange() -> AsyncIterator[Any]:
        for number in range(5):
            yield SimpleNamespace(symbol="AAPL", time=NOON, price=10.5, size=number, id=number)

    told: list[Any] = []

    def tell(ticker: str, time: datetime, price: float, size: float) -> None:
        told.append((ticker, time, price, size))
        if len(told) == 5:
            raise Enough

    async def both() -> None:
        bot = asyncio.create_task(run(BOT, db=db, print=tell))
        # A bot without a state begins when it is there: then its file names the ticker.
        while not (tmp_path / "positions.json").exists() or "AAPL" not in (
            tmp_path / "positions.json"
        ).read_text():
            await asyncio.sleep(0.02)
        await run(FEED, db=db, exchange=exchange())
        with pytest.raises(Enough):
            await asyncio.wait_for(bot, 60)

    asyncio.run(both())
    assert told == [("AAPL", NOON, 10.5, number) for number in range(5)]
    assert len(rows_of(server.url, "trades", "AAPL")) >= 5
    assert JOINED.splitlines()[0].startswith("rows, live = ")
    names: dict[str, Any] = {"db": db}
    exec("\n".join(JOINED.splitlines()[:2]), names)
    assert names["frame"].height >= 5
    names["live"].close()
