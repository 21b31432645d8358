"""What `connect` takes, and what it refuses."""

from __future__ import annotations

import pytest
import stock_db
from conftest import KeyedServer
from server import Server


def test_the_address_comes_from_the_argument_the_environment_or_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stock_db.connect().connection.url == "http://localhost:8080"
    monkeypatch.setenv("STOCK_DB_URL", "https://desk.example/")
    monkeypatch.setenv("STOCK_DB_KEY", "sdb_1")
    connection = stock_db.connect().connection
    assert (connection.url, connection.ws_url) == ("https://desk.example", "wss://desk.example")
    assert connection.key == "sdb_1" and connection.tls is not None
    assert "sdb_1" not in repr(connection)
    assert stock_db.connect("unix:/run/a.sock").connection.unix_socket == "/run/a.sock"


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://x", "http://", "http://a:b@c", "http://x:port", "http://x?a=1", "unix:"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        stock_db.connect(url)


def test_other_wrong_values_are_named() -> None:
    with pytest.raises(ValueError, match="key"):
        stock_db.connect(key="a\nb")
    with pytest.raises(ValueError, match="timeout"):
        stock_db.connect(timeout=0)
    with pytest.raises(ValueError, match="retries"):
        stock_db.connect(retries=-1)
    with pytest.raises(ValueError, match="verify"):
        stock_db.connect("https://desk.example", verify="/nowhere.crt")


def test_servers_start(server: Server, keyed_server: KeyedServer) -> None:
    assert server.port > 0 and keyed_server.reader != keyed_server.admin
