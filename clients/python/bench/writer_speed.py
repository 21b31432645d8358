"""Saves of one tick from one process: a writer, beside a plain loop of one request a tick.

    python bench/writer_speed.py [--url http://localhost:8080] [--rows 100000] [--seconds 5]

Needs a running server, and leaves its rows in tickers that begin with BENCH. All rows of both are
acknowledged: they are on the server's disk when the clock stops.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import sys
import tempfile
import time
import uuid
from urllib.parse import urlsplit

import stock_db

TICKERS = 50
#: 2024-01-02T14:30:00Z
FIRST_MICROS = 1_704_205_800_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8080")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of the plain loop, each time")
    args = parser.parse_args()
    before = plain_loop(args.url, args.seconds)
    awaited = asyncio.run(awaited_writer(args.url, args.rows))
    sync = sync_writer(args.url, args.rows)
    with tempfile.TemporaryDirectory() as folder:
        spooled = sync_writer(args.url, args.rows, folder)
    after = plain_loop(args.url, args.seconds)
    plain = (before + after) / 2
    print(f"plain loop, one request a tick:  {plain:>9,.0f} ticks/s ({before:,.0f} and {after:,.0f})")
    print(f"async writer, acknowledged:      {awaited:>9,.0f} ticks/s, {awaited / plain:.1f} times")
    print(f"sync writer, acknowledged:       {sync:>9,.0f} ticks/s, {sync / plain:.1f} times")
    print(f"the same with a spool:           {spooled:>9,.0f} ticks/s, {spooled / plain:.1f} times")


def plain_loop(url: str, seconds: float) -> float:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "localhost", parts.port)
    run = uuid.uuid4().hex[:8]
    count = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        stamp = FIRST_MICROS + count * 100
        row = {"timestamp": stamp, "price": 100 + count % 1000 / 100, "size": 5, "id": f"{run}{count}"}
        body = json.dumps({"trades": {f"BENCH{count % TICKERS}": [row]}})
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/trades", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"{answer.status}: {text.decode()}")
        count += 1
    connection.close()
    return count / (time.perf_counter() - begin)


async def awaited_writer(url: str, rows: int) -> float:
    run = uuid.uuid4().hex[:8]
    async with stock_db.connect(url).writer() as writer:
        begin = time.perf_counter()
        for count in range(rows):
            await writer.trade(
                f"BENCH{count % TICKERS}",
                FIRST_MICROS + count * 100,
                100 + count % 1000 / 100,
                5,
                id=f"{run}{count}",
            )
        await writer.flush()
        seconds = time.perf_counter() - begin
        assert writer.figures.acknowledged == rows and writer.figures.refused == 0
    return rows / seconds


def sync_writer(url: str, rows: int, spool: str | None = None) -> float:
    run = uuid.uuid4().hex[:8]
    with stock_db.connect(url).writer(spool=spool) as writer:
        begin = time.perf_counter()
        for count in range(rows):
            writer.trade(
                f"BENCH{count % TICKERS}",
                FIRST_MICROS + count * 100,
                100 + count % 1000 / 100,
                5,
                id=f"{run}{count}",
            )
        writer.flush()
        seconds = time.perf_counter() - begin
        assert writer.figures.acknowledged == rows and writer.figures.refused == 0
    return rows / seconds


if __name__ == "__main__":
    main()
