"""A feed handler: stores the trades of its input, one a line, and loses none.

    zcat sample/ibm-trades.csv.gz | python examples/python/feed_handler.py IBM

While the server is away, trades wait in the folder `feed.spool`. If this program is killed, its next
run sends first what is left there. Each trade has an id, here the number of its line: so a file that
is fed again is stored once. `STOCK_DB_URL` and `STOCK_DB_KEY` tell the server and the key.
"""

import csv
import sys

import stock_db


def main() -> None:
    ticker, spool = [*sys.argv[1:], "feed.spool"][:2]
    with stock_db.connect().writer(spool=spool) as writer:
        for number, row in enumerate(csv.DictReader(sys.stdin), start=1):
            writer.trade(ticker, row["timestamp"], float(row["price"]), float(row["size"]), id=number)
        writer.flush()
        print(writer.figures.acknowledged, "trades are stored")


if __name__ == "__main__":
    main()
