"""The parameters of questions: from Python's values to those of `/v1`."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

import pyarrow as pa

from .stamps import date_text, moment

__all__ = [
    "Symbols",
    "chunks",
    "duration",
    "is_one",
    "joined",
    "sql_parameter",
    "sql_table",
    "symbol_parameters",
    "ticker_table",
    "without_none",
]

#: A ticker, a text with commas or a pattern such as `AA*`, or a list of those.
Symbols = Union[str, Iterable[str]]


def is_one(symbols: Symbols) -> bool:
    """Whether it is one ticker by its name: a text without comma and pattern."""
    return isinstance(symbols, str) and "," not in symbols and "*" not in symbols


def symbol_parameters(symbols: Symbols) -> dict[str, Any]:
    """Raises `TypeError`, `ValueError`."""
    if isinstance(symbols, str):
        if not symbols:
            raise ValueError("symbols: got an empty text, expected tickers, or '*' for all")
        return {"symbol": symbols} if is_one(symbols) else {"symbols": symbols}
    listed = list(symbols)
    for each in listed:
        if not isinstance(each, str):
            raise TypeError(f"symbols: got {each!r}, expected texts")
    if not listed:
        raise ValueError("symbols: got an empty list, expected tickers, or '*' for all")
    return {"symbols": [str(each) for each in listed]}


def chunks(symbols: Symbols, size: int) -> list[Symbols]:
    """Lists of at most so many tickers, which the server answers at once."""
    if isinstance(symbols, str):
        return [symbols]
    listed = list(symbols)
    return [listed[at : at + size] for at in range(0, len(listed), size)] or [listed]


def without_none(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def joined(name: str, value: str | Iterable[str] | None) -> str | None:
    """Names with commas between them. Raises `TypeError`."""
    if value is None or isinstance(value, str):
        return value
    listed = list(value)
    for each in listed:
        if not isinstance(each, str):
            raise TypeError(f"{name}: got {each!r}, expected texts")
    if not listed:
        raise ValueError(f"{name}: got an empty list, expected names")
    return ",".join(listed)


def duration(name: str, value: str | dt.timedelta | None) -> str | None:
    """Raises `ValueError` for parts of a millisecond."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, dt.timedelta):
        raise TypeError(f"{name}: got {value!r}, expected text such as '500ms', or a timedelta")
    rest = value % dt.timedelta(milliseconds=1)
    if rest or value < dt.timedelta(0):
        raise ValueError(f"{name}: got {value!r}, expected whole milliseconds, 0 or more")
    return f"{value // dt.timedelta(milliseconds=1)}ms"


def sql_parameter(index: int, value: Any) -> Any:
    """As JSON has it: stamps as the server prints them, bytes as base64."""
    name = f"params[{index}]"
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dt.datetime):
        text = moment(name, value, None)
        assert isinstance(text, str)
        return text.replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    if type(value).__module__ == "numpy" and type(value).__name__ == "datetime64":
        return date_text(name, value) if "T" not in str(value) else moment(name, value, None)
    if type(value).__module__ == "numpy" and type(value).__name__ == "bool":
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (numbers.Real, decimal.Decimal)):
        number = float(value)
        return number if number == number and abs(number) != float("inf") else None
    raise TypeError(f"{name}: got {type(value).__name__}, expected a number, a text, a date or None")


def sql_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Columns in order of the first row. One that has several kinds of values is text."""
    if not records:
        return pa.table({})
    return pa.table({name: _sql_column([record.get(name) for record in records]) for name in records[0]})


def _sql_column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([each if each is None or isinstance(each, str) else json.dumps(each) for each in values])


_TICKERS = pa.schema([("symbol", pa.string()), ("kinds", pa.list_(pa.string()))])
_SERIES = pa.schema(
    [
        ("symbol", pa.string()),
        ("kind", pa.string()),
        ("series", pa.string()),
        ("first", pa.timestamp("us", "UTC")),
        ("last", pa.timestamp("us", "UTC")),
    ]
)


def ticker_table(tickers: Sequence[Mapping[str, Any]], with_series: bool) -> pa.Table:
    if not with_series:
        rows = [{"symbol": each["symbol"], "kinds": each["kinds"]} for each in tickers]
        return pa.Table.from_pylist(rows, _TICKERS)
    rows = [
        {
            **{"symbol": each["symbol"], "kind": one["kind"], "series": one["series"]},
            **{end: _stamp(one.get(end)) for end in ("first", "last")},
        }
        for each in tickers
        for one in each.get("series", [])
    ]
    return pa.Table.from_pylist(rows, _SERIES)


def _stamp(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
