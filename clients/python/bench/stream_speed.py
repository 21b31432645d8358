"""How fast messages of a server become typed events, in one process and without a network.

    python bench/stream_speed.py
"""

from __future__ import annotations

import json
import time

from stock_db.stream_core import Core, StreamOptions

UPDATES = 200_000
TICKERS = 50


def main() -> None:
    for of_message in (1, 50):
        for kind in ("trade", "quote"):
            texts = messages(of_message, kind)
            core = Core(StreamOptions(symbols=tuple(f"T{number}" for number in range(TICKERS))), None)
            begin = time.perf_counter()
            events = 0
            for text in texts:
                core.feed(text)
                while core.next() is not None:
                    events += 1
            seconds = time.perf_counter() - begin
            assert events == UPDATES
            print(f"{kind}s, {of_message:>2} a message: {UPDATES / seconds:>9,.0f} updates/s")


def messages(of_message: int, kind: str) -> list[str]:
    values = {
        "trade": {"price": 185.5, "size": 100, "id": "52983"},
        "quote": {"bid_price": 185.5, "bid_size": 2, "ask_price": 185.6, "ask_size": 3},
    }[kind]
    frames = [
        {
            **{"type": kind, "ticker": f"T{number % TICKERS}", "position": number // TICKERS + 1},
            **{"epoch": "ac9f783e-d9dc-4c60-9705-045876d2041b"},
            "records": [{"timestamp": "2024-01-02T14:30:00.123456Z", **values}],
        }
        for number in range(UPDATES)
    ]
    if of_message == 1:
        return [json.dumps(frame) for frame in frames]
    return [
        json.dumps({"type": "batch", "updates": frames[start : start + of_message]})
        for start in range(0, UPDATES, of_message)
    ]


if __name__ == "__main__":
    main()
