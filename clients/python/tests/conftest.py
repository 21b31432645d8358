"""Servers that the tests of a run share. A test takes tickers of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from server import Server

for _name in [name for name in os.environ if name in ("STOCK_DB_URL", "STOCK_DB_KEY")]:
    del os.environ[_name]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Without keys, SQLite."""
    with Server() as started:
        yield started


@pytest.fixture(scope="session")
def server_url(server: Server) -> str:
    return server.url


@dataclass(frozen=True)
class KeyedServer:
    server: Server
    admin: str
    reader: str

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture(scope="session")
def keyed_server() -> Iterator[KeyedServer]:
    """With two keys: one may do everything, one reads and streams."""
    made = Server()
    admin = made.add_key("boss", "admin")
    reader = made.add_key("desk", "read,stream")
    with made:
        yield KeyedServer(made, admin, reader)
