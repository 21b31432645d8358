"""A bot: tells each trade, and whether it is a high or a low of the last 20 before it.

    python examples/python/bot.py IBM SPY

Where it has come to is kept in `bot.json`: the next run goes on there, and hears what was saved
meanwhile. What the server can't tell any more is an event of its own, and no silence.
"""

import os
import sys
from collections import defaultdict, deque

import stock_db


def signal(price: float, before: "deque[float]") -> str:
    if before and price > max(before):
        return "high"
    return "low" if before and price < min(before) else "-"


def main() -> None:
    prices: "defaultdict[str, deque[float]]" = defaultdict(lambda: deque(maxlen=20))
    state = os.environ.get("BOT_STATE", "bot.json")
    for update in stock_db.connect().stream(sys.argv[1:], types=["trade"], state=state):
        if isinstance(update, (stock_db.Gap, stock_db.NewEpoch)):
            print(update.ticker, "has missed updates: start from its history again", flush=True)
            prices[update.ticker].clear()
            continue
        for trade in update:
            before = prices[trade.ticker]
            print(trade.ticker, trade.time, trade.price, signal(trade.price, before), flush=True)
            before.append(trade.price)


if __name__ == "__main__":
    main()
