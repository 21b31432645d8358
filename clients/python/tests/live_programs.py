"""A feed and bots that run beside a test, and keep books of what they have done and seen."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

import stock_db
from stock_db.stream_events import Trades
from stock_db.writer import WriterFigures


class Program:
    """Runs in a thread of its own. `finish` waits for its end and raises what it has raised."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def finish(self) -> None:
        self.stopping.set()
        self._thread.join(90)
        assert not self._thread.is_alive(), f"{type(self).__name__} goes on"
        self.check()

    def run(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        try:
            self.run()
        except BaseException as error:
            self.error = error


class Feed(Program):
    """Writes trades without an id. Sizes of each ticker are 1, 2, 3 …"""

    def __init__(self, url: str, tickers: list[str], **options: Any) -> None:
        super().__init__()
        self.url = url
        self.tickers = tickers
        self.options = options
        self.sizes: dict[str, int] = dict.fromkeys(tickers, 0)
        self.figures: WriterFigures | None = None

    def run(self) -> None:
        asyncio.run(self._feed())

    async def _feed(self) -> None:
        db = stock_db.connect(self.url)
        async with db.writer(**self.options) as writer:
            while not self.stopping.is_set():
                for ticker in self.tickers:
                    self.sizes[ticker] += 1
                    await writer.trade(ticker, datetime.now(timezone.utc), 10.5, self.sizes[ticker])
                self.figures = writer.figures
                await asyncio.sleep(0.005)
            await writer.flush()
            self.figures = writer.figures


class Book:
    """What a bot has seen: sizes of each ticker, which must be 1, 2, 3 …"""

    def __init__(self) -> None:
        self.sizes: dict[str, list[int]] = defaultdict(list)
        self.others: list[Any] = []

    def take(self, event: Any) -> None:
        if isinstance(event, Trades):
            self.sizes[event.ticker].extend(int(trade.size or 0) for trade in event)
        else:
            self.others.append(event)

    def has(self, sizes: dict[str, int]) -> bool:
        return all(self.sizes[ticker][-1:] == [last] for ticker, last in sizes.items())

    def faults(self, sizes: dict[str, int]) -> list[str]:
        return list(_faults(self.sizes, sizes)) + [f"unexpected: {event}" for event in self.others]


def _faults(seen: dict[str, list[int]], sizes: dict[str, int]) -> Iterable[str]:
    for ticker, last in sizes.items():
        if seen[ticker] == list(range(1, last + 1)):
            continue
        lost = sorted(set(range(1, last + 1)) - set(seen[ticker]))
        repeated = len(seen[ticker]) - len(set(seen[ticker]))
        disorder = sum(a > b for a, b in zip(seen[ticker], seen[ticker][1:]))
        yield f"{ticker}: lost {lost[:10]} ({len(lost)}), repeated {repeated}, out of order {disorder}"


class AsyncBot(Program):
    def __init__(self, url: str, symbols: Any, **options: Any) -> None:
        super().__init__()
        self.book = Book()
        self.stream = stock_db.connect(url).stream(symbols, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def run(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._take_all())
        try:
            await self._task
        except asyncio.CancelledError:
            pass

    async def _take_all(self) -> None:
        async with self.stream:
            async for event in self.stream:
                self.book.take(event)

    def finish(self) -> None:
        assert self._loop is not None and self._task is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)
        super().finish()


class SyncBot(Program):
    def __init__(self, url: str, symbols: Any, **options: Any) -> None:
        super().__init__()
        self.book = Book()
        self.stream = stock_db.connect(url).stream(symbols, **options)

    def run(self) -> None:
        with self.stream:
            for event in self.stream:
                self.book.take(event)

    def finish(self) -> None:
        self.stream.close()
        super().finish()
