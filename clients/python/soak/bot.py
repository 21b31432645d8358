"""A bot: tells each trade as `TICKER POSITION SIZE`. python bot.py URL STATE TICKERS"""

import asyncio
import sys

import stock_db


async def main(url: str, state: str, tickers: str) -> None:
    async for update in stock_db.connect(url).stream(tickers, types=["trade"], state=state):
        for trade in update:
            print(update.ticker, update.position, trade.size, flush=True)


asyncio.run(main(*sys.argv[1:]))
