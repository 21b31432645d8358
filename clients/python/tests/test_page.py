"""The lines of docs/python.md, run as a user pastes them, one after the other."""

from __future__ import annotations

import re
import warnings
from typing import Any

import stock_db
from server import PROJECT, Server

PAGE = (PROJECT / "docs" / "python.md").read_text()


def test_every_line_of_the_page_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, Any] = {}
    with Server("--sample") as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", stock_db.ServerWarning)
        for block in blocks:
            exec(block.replace("localhost:8080", f"localhost:{server.port}"), names)
        names["db"].close()
        assert list(names["bars"].to_pandas().columns)[:2] == ["open", "high"]


def test_every_public_name_is_explained() -> None:
    explained = [name for name in stock_db.__all__ if getattr(getattr(stock_db, name), "__doc__", None)]
    # Unions of types have no words of their own.
    assert set(stock_db.__all__) - set(explained) <= {"__version__", "Since", "Event", "Update"}
