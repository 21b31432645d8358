"""What breaks off must not pass for whole, wherever it breaks off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
import stock_db
from damaged import Damaged, Handler
from server import Server

ROWS = 40_000
END_MARK = 8


@pytest.fixture(scope="module")
def damaged(server: Server) -> Iterator[Damaged]:
    stamps = pa.array(range(1_700_000_000_000_000, 1_700_000_000_000_000 + ROWS), pa.timestamp("us", "UTC"))
    table = pa.table({"timestamp": stamps, "price": pa.array([1.5] * ROWS), "id": pa.array(range(ROWS))})
    saved = stock_db.connect(server.url).save_trades(table, ticker="BRK")
    assert saved.stored == ROWS
    with Damaged(server.url) as made:
        yield made


def boundary(body: bytes) -> bytes:
    """The body up to the end of a batch that isn't the last."""
    source = pa.BufferReader(body)
    reader = pa.ipc.MessageReader.open_stream(source)
    ends = []
    for _ in reader:
        ends.append(source.tell())
    assert len(ends) > 3
    return body[: ends[2]]


DAMAGES: dict[str, Callable[[Handler, int, bytes], None]] = {
    "no end mark": lambda to, status, body: to.whole(status, body[:-END_MARK]),
    "no end mark, in chunks": lambda to, status, body: to.chunked(status, body[:-END_MARK]),
    "ends after a batch": lambda to, status, body: to.whole(status, boundary(body)),
    "ends after a batch, in chunks": lambda to, status, body: to.chunked(status, boundary(body)),
    "ends within a batch": lambda to, status, body: to.chunked(status, body[: len(body) // 2 + 3]),
    "fewer bytes than announced": Handler.short,
    "no last chunk": lambda to, status, body: to.chunked(status, body, ends=False),
    "bytes behind the end": lambda to, status, body: to.chunked(status, body + b"more"),
    "no Arrow": lambda to, status, body: to.whole(status, b"<html>a proxy's page</html>" * 10),
    "nothing": lambda to, status, body: to.whole(status, b""),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_answer_is_an_error(damaged: Damaged, name: str) -> None:
    damaged.how = DAMAGES[name]
    db = stock_db.connect(damaged.url, retries=0)
    with pytest.raises(stock_db.IncompleteAnswer):
        db.trades("BRK").to_arrow()
    with pytest.raises(stock_db.IncompleteAnswer):
        for _ in db.trades("BRK"):
            pass


def test_it_is_asked_again_and_a_whole_one_counts(damaged: Damaged) -> None:
    damaged.asked = 0

    def twice(to: Handler, status: int, body: bytes) -> None:
        to.chunked(status, body[:-END_MARK] if damaged.asked < 3 else body)

    damaged.how = twice
    rows = stock_db.connect(damaged.url).trades("BRK")
    assert len(rows) == ROWS and damaged.asked == 3


def test_a_loop_does_not_begin_anew_behind_its_back(damaged: Damaged) -> None:
    damaged.how = DAMAGES["ends after a batch"]
    seen = 0
    with pytest.raises(stock_db.IncompleteAnswer):
        for batch in stock_db.connect(damaged.url).trades("BRK"):
            seen += batch.num_rows
    assert 0 < seen < ROWS


def test_pages_are_asked_for_again_each_by_itself(damaged: Damaged) -> None:
    damaged.asked = 0

    def every_other(to: Handler, status: int, body: bytes) -> None:
        to.chunked(status, body[:-END_MARK] if damaged.asked % 2 == 1 else body)

    damaged.how = every_other
    batches = stock_db.connect(damaged.url).trades("BRK").batches(page_size=15_000)
    stamps = pa.Table.from_batches(batches)["timestamp"].to_pylist()
    assert len(stamps) == len(set(stamps)) == ROWS and damaged.asked == 6


def test_a_busy_server_is_asked_again_and_told_of_in_the_end(damaged: Damaged) -> None:
    damaged.asked = 0
    damaged.how = lambda to, status, body: (
        to.busy(503, "0.01") if damaged.asked < 3 else to.whole(status, body)
    )
    assert len(stock_db.connect(damaged.url).trades("BRK")) == ROWS
    damaged.how = lambda to, status, body: to.busy(429, "3600")
    with pytest.raises(stock_db.ServerUnavailable) as told:
        stock_db.connect(damaged.url).trades("BRK").to_arrow()
    assert told.value.status == 429 and told.value.retry_after == 3600


def test_a_save_whose_answer_is_lost_is_sent_again_under_its_key(damaged: Damaged) -> None:
    damaged.asked, damaged.keys = 0, []
    damaged.how = lambda to, status, body: to.gone() if damaged.asked < 3 else to.whole(status, body)
    db = stock_db.connect(damaged.url)
    # Equal ones without an id: only the key tells a repetition.
    table = pa.table({"t": ["2024-01-02T14:30:00Z"] * 3, "p": [1.0] * 3})
    saved = db.save_trades(table, ticker="LOST")
    assert (saved.rows, saved.stored) == (3, 3) and damaged.asked == 3
    assert len(set(damaged.keys)) == 1
    damaged.how = Handler.whole
    assert len(db.trades("LOST")) == 3


def test_a_save_of_which_nobody_knows_tells_so(damaged: Damaged) -> None:
    damaged.asked = 0
    damaged.how = lambda to, status, body: to.gone() if damaged.asked > 1 else to.whole(status, body)
    db = stock_db.connect(damaged.url, retries=1)
    count = 40_000
    stamps = pa.array(range(1_700_000_000_000_000, 1_700_000_000_000_000 + count), pa.timestamp("us", "UTC"))
    table = pa.table({"timestamp": stamps, "price": pa.array([1.0] * count)})
    with pytest.raises(stock_db.SaveFailed) as told:
        db.save_trades(table, ticker="DOUBT")
    failed = told.value
    assert failed.stored == ((0, 15_000),)
    assert failed.unknown == ((15_000, 30_000),)
    assert failed.refused == ((30_000, 40_000),)
    damaged.how = Handler.whole
    saved = db.save_trades(table, ticker="DOUBT", idempotency_key=failed.idempotency_key)
    assert saved.rows == count and len(db.trades("DOUBT")) == count


def test_a_question_is_not_asked_again_while_the_server_may_be_at_work_on_it(damaged: Damaged) -> None:
    damaged.asked = 0
    free = threading.Event()

    def late(to: Handler, status: int, body: bytes) -> None:
        free.wait(60)
        to.gone()

    damaged.how = late
    try:
        with pytest.raises(stock_db.TimedOut, match="within 0.5 s"):
            stock_db.connect(damaged.url, timeout=0.5).trades("BRK").to_arrow()
    finally:
        free.set()
    assert damaged.asked <= 1
