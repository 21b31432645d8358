"""A feed of its own process, that is killed: python live_spool_feed.py URL SPOOL TICKER

Writes trades without an id, whose sizes are 1, 2, 3 …, and prints the size of each that was taken.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone

import stock_db


def main(url: str, spool: str, ticker: str) -> None:
    with stock_db.connect(url).writer(spool=spool, batch_rows=20) as writer:
        for size in range(1, 1_000_000):
            writer.trade(ticker, datetime.now(timezone.utc), 1, size)
            print(size, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
