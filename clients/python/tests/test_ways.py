"""Ways to a server: keys, TLS, a Unix socket, limits, and restarts in between."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pandas as pd
import pytest
import stock_db
from conftest import KeyedServer
from server import Server, until

TRADE = [{"timestamp": "2024-01-02T14:30:00Z", "price": 1.5, "size": 1, "id": "x"}]


def test_keys(keyed_server: KeyedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = keyed_server.url
    assert stock_db.connect(url, key=keyed_server.admin).save_trades(TRADE, ticker="K").stored == 1
    reader = stock_db.connect(url, key=keyed_server.reader)
    assert len(reader.trades("K")) == 1
    with pytest.raises(stock_db.NotAllowed, match="write") as told:
        reader.save_trades(TRADE, ticker="K")
    assert told.value.status == 403 and keyed_server.reader not in str(told.value)
    with pytest.raises(stock_db.NotAllowed) as told:
        stock_db.connect(url).trades("K").to_arrow()
    assert told.value.status == 401
    monkeypatch.setenv("STOCK_DB_URL", url)
    monkeypatch.setenv("STOCK_DB_KEY", keyed_server.reader)
    assert len(stock_db.connect().trades("K")) == 1


def test_a_limit_of_requests_is_waited_for(keyed_server: KeyedServer) -> None:
    key = keyed_server.server.add_key("slow", "read", "--rate", "2/s")
    db = stock_db.connect(keyed_server.url, key=key)

    def is_known() -> bool:
        try:
            return db.tickers().to_arrow() is not None
        except stock_db.NotAllowed:
            return False

    until("the key counts", is_known)
    for _ in range(5):
        db.tickers()
    impatient = stock_db.connect(keyed_server.url, key=key, retries=0)
    with pytest.raises(stock_db.ServerUnavailable) as told:
        for _ in range(20):
            impatient.tickers()
    assert told.value.status == 429 and told.value.retry_after is not None


def test_tls(tmp_path: Path) -> None:
    names = ["-keyout", str(tmp_path / "a.key"), "-out", str(tmp_path / "a.crt"), "-subj", "/CN=a"]
    names += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", *kind, *names], check=True, capture_output=True)
    with Server("--tls-cert", str(tmp_path / "a.crt"), "--tls-key", str(tmp_path / "a.key")) as server:
        with stock_db.connect(server.url, verify=tmp_path / "a.crt") as db:
            assert db.save_trades(TRADE, ticker="TLS").stored == 1
        with stock_db.connect(server.url, verify=False) as db:
            assert len(db.trades("TLS")) == 1
        with pytest.raises(stock_db.ConnectionLost, match="certificate"):
            stock_db.connect(server.url, retries=1_000_000).trades("TLS").to_arrow()


def test_a_unix_socket_and_a_server_that_is_killed() -> None:
    made = Server()
    # A short path: the system takes few letters.
    path = made.dir / "s.sock"
    made.flags += ["--unix-socket", str(path)]
    with made as server:
        db = stock_db.connect(f"unix:{path}")
        assert db.save_trades(TRADE, ticker="UNIX").stored == 1 and len(db.trades("UNIX")) == 1
        server.kill()
        with pytest.raises(stock_db.ConnectionLost):
            stock_db.connect(server.url, retries=0).trades("UNIX").to_arrow()
        patient = stock_db.connect(server.url, retries=30)
        answers: list[int] = []
        reading = threading.Thread(target=lambda: answers.append(len(patient.trades("UNIX"))))
        reading.start()
        server.start()
        reading.join(120)
        assert answers == [1]
        # Its kept connections have ended meanwhile.
        assert len(db.trades("UNIX")) == 1


def test_a_save_goes_on_over_a_kill_and_nothing_is_lost_or_twice() -> None:
    count = 120_000
    stamps = pd.date_range("2024-01-02 14:30", periods=count, freq="1ms", tz="UTC")
    # No ids: equal ones are told apart by the requests alone.
    frame = pd.DataFrame({"timestamp": stamps.repeat(1), "price": 1.0, "size": 1})
    with Server() as server:
        db = stock_db.connect(server.url, retries=30)
        results: list[stock_db.Saved] = []
        saving = threading.Thread(target=lambda: results.append(db.save_trades(frame, ticker="KILL")))
        saving.start()
        other = stock_db.connect(server.url, retries=0)
        until("some rows are stored", lambda: other.tickers("KILL").to_arrow().num_rows == 1)
        server.kill()
        server.start()
        saving.join(180)
        assert [saved.rows for saved in results] == [count]
        rows = db.trades("KILL").to_arrow()
        assert rows.num_rows == count and len(set(rows["timestamp"].to_pylist())) == count


def test_threads_share_a_client(server: Server) -> None:
    db = stock_db.connect(server.url)
    db.save_trades(TRADE, ticker="THREADS")
    found: list[int] = []

    def ask() -> None:
        for _ in range(10):
            found.append(len(db.trades("THREADS")))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert found == [1] * 40


def test_positions_of_pages_are_those_of_the_first(server: Server) -> None:
    db = stock_db.connect(server.url)
    stamps = pd.date_range("2024-01-02 14:30", periods=30, freq="1s", tz="UTC")
    before = db.save_trades({"timestamp": stamps, "price": [1.0] * 30}, ticker="PAGES").positions
    rows = db.trades("PAGES", with_position=True)
    batches = rows.batches(page_size=20)
    seen = next(batches).num_rows
    db.save_trades({"timestamp": stamps[:1], "price": [2.0]}, ticker="PAGES")
    seen += sum(batch.num_rows for batch in batches)
    assert seen == 30 and rows.positions == before
    assert db.trades("PAGES", with_position=True).positions["PAGES"] > before["PAGES"]
