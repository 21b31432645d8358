"""The spool: what it keeps over kills, cuts and bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
import stock_db
from server import Server, until
from stock_db.spool import Spool, SpoolDamaged, SpoolFull, SpoolInUse
from stock_db.writer import SyncWriter
from test_writer import rows_of

NOON = datetime(2024, 1, 2, 12, tzinfo=timezone.utc)


def filled(path: Path, count: int, **options: int) -> None:
    """Trades and quotes by turns, of which the first ten of each are stored."""
    with Spool(path, **options) as spool:
        trades, quotes = spool.lane("trades"), spool.lane("quotes")
        for number in range(1, count + 1):
            spool.append(trades, b"t%d" % number)
            spool.append(quotes, b"q%d" % number)
            if number == 10:
                for lane in (trades, quotes):
                    spool.sent(lane, 1, 10, "first")
                    spool.stored(lane, 10)
            if number == 15:
                for lane in (trades, quotes):
                    spool.sent(lane, 11, 5, "second")


def all_rows(spool: Spool, step: int = 7) -> Iterator[tuple[str, int, bytes]]:
    while rows := spool.read(step):
        for lane, number, row in rows:
            yield lane.name, number, row


def wanted(first: int, last: int) -> list[tuple[str, int, bytes]]:
    both = (("trades", b"t%d"), ("quotes", b"q%d"))
    return [(name, number, text % number) for number in range(first, last + 1) for name, text in both]


@pytest.mark.parametrize("file_bytes", [1024, 16 * 1024 * 1024])
def test_what_is_not_stored_comes_back(tmp_path: Path, file_bytes: int) -> None:
    filled(tmp_path, 500, file_bytes=file_bytes)
    # Once more, as the first reader may be killed too.
    for _ in range(2):
        with Spool(tmp_path, file_bytes=file_bytes) as spool:
            assert list(all_rows(spool)) == wanted(11, 500)
            assert [list(lane.sent) for lane in spool.lanes.values()] == [[(11, 5, "second")]] * 2
            assert spool.is_read
    with Spool(tmp_path, file_bytes=file_bytes) as spool:
        for lane in spool.lanes.values():
            spool.stored(lane, 500)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_files_go_when_their_rows_are_stored(tmp_path: Path) -> None:
    with Spool(tmp_path, file_bytes=4096) as spool:
        lane = spool.lane("trades")
        for number in range(1, 5_001):
            spool.append(lane, b"x" * 50)
            if number % 10 == 0:
                spool.stored(lane, number - 5)
                assert spool.bytes < 3 * 4096
        assert len(list(tmp_path.glob("*.rows"))) <= 3
        spool.skip()
        assert spool.read(1) == []
        spool.append(lane, b"next")
        assert [(number, row) for _, number, row in spool.read(9)] == [(5_001, b"next")]


def test_a_record_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    filled(tmp_path, 100)
    (path,) = tmp_path.glob("*.rows")
    os.truncate(path, path.stat().st_size - 1)
    with Spool(tmp_path) as spool:
        assert spool.torn_bytes > 0
        assert list(all_rows(spool)) == wanted(11, 100)[:-1]
        # The next row takes the number of the lost one.
        spool.append(spool.lane("quotes"), b"q100")
    with Spool(tmp_path) as spool:
        assert spool.torn_bytes == 0
        assert list(all_rows(spool)) == wanted(11, 100)


def test_damage_before_the_end_is_told(tmp_path: Path) -> None:
    filled(tmp_path, 200, file_bytes=1024)
    path = min(tmp_path.glob("*.rows"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SpoolDamaged, match="whole record"):
        Spool(tmp_path)


def test_a_full_spool_says_so_and_takes_rows_again(tmp_path: Path) -> None:
    with Spool(tmp_path, max_bytes=8192) as spool:
        lane = spool.lane("trades")
        with pytest.raises(SpoolFull, match="not taken"):
            for _ in range(1000):
                spool.append(lane, b"x" * 100)
        last = lane.next - 1
        spool.stored(lane, last)
        spool.append(lane, b"x" * 100)
        assert lane.next == last + 2


def test_two_writers_cannot_have_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stock_db.spool.LOCK_SECONDS", 0.1)
    with Spool(tmp_path), pytest.raises(SpoolInUse):
        Spool(tmp_path)


def test_more_rows_than_memory_takes_wait_in_the_spool(tmp_path: Path) -> None:
    """Trades and quotes by turns, before, while and after the server is away."""
    count = 300
    with Server() as server:

        def write(writer: SyncWriter, first: int) -> None:
            for size in range(first, first + count):
                writer.trade("SPMEM", NOON, 1, size)
                writer.quote("SPMEM", NOON, 1, size, 2, size)

        db = stock_db.connect(server.url)
        with db.writer(spool=tmp_path, queue_rows=20, batch_rows=7) as writer:
            write(writer, 0)
            writer.flush(60)
            server.kill()
            write(writer, count)
            until("it is noticed", lambda: writer.figures.trouble is not None)
            figures = writer.figures
            assert figures.queued <= 40
            assert figures.queued + figures.spooled == figures.taken - figures.acknowledged > 500
            server.start()
            write(writer, 2 * count)
            writer.flush(60)
            assert writer.figures.spooled == 0
        for table, name in (("trades", "s"), ("quotes", "bs")):
            sizes = [row[name] for row in rows_of(server.url, table, "SPMEM")]
            assert sizes == list(range(3 * count))


def test_a_full_spool_is_told_at_the_call(tmp_path: Path) -> None:
    db = stock_db.connect("http://127.0.0.1:9")
    with db.writer(spool=tmp_path, spool_bytes=4096, close_timeout=0.1) as writer:
        with pytest.raises(SpoolFull, match="not taken"):
            for size in range(1000):
                writer.trade("SPFULL", NOON, 1, size)
        assert writer.figures.taken > 10
        taken = writer.figures.taken
    # The next writer has them all.
    with db.writer(spool=tmp_path, close_timeout=0.1) as writer:
        assert writer.figures.taken == taken


def test_a_feed_outlives_the_server_and_its_own_kill(tmp_path: Path) -> None:
    """Rows without an id: a batch that came twice under two keys would be stored twice."""
    spool = tmp_path / "feed.spool"
    taken: dict[str, int] = {}
    with Server() as server:
        for ticker, kills_server in (("SPOOL0", False), ("SPOOL1", True), ("SPOOL2", False)):
            taken[ticker] = killed_feed(server, spool, ticker, kills_server=kills_server)
        server.start()
        with stock_db.connect(server.url).writer(spool=spool) as writer:
            writer.flush(60)
            assert writer.figures.acknowledged > 0
        assert [path.name for path in spool.iterdir()] == ["lock"]
        for ticker, last in taken.items():
            sizes = [row["s"] for row in rows_of(server.url, "trades", ticker)]
            # One more may be taken than the feed could say.
            assert sizes == list(range(1, len(sizes) + 1))
            assert len(sizes) in (last, last + 1)


def killed_feed(server: Server, spool: Path, ticker: str, *, kills_server: bool) -> int:
    """Returns how many rows the feed said that it had taken."""
    feed = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("live_spool_feed.py")), server.url, str(spool), ticker],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert feed.stdout is not None
    taken = 0
    for line in feed.stdout:
        taken = int(line)
        if taken == 200 and kills_server:
            server.kill()
        if taken == 500:
            break
    feed.kill()
    for line in feed.stdout:
        if line.endswith(b"\n"):
            taken = int(line)
    feed.wait()
    return taken
