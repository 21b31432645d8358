"""Rows as the lines of CSV that a writer sends."""

from __future__ import annotations

import csv
import io
import json
import math
import operator
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Union

from .errors import StockDBError

__all__ = [
    "HEADERS",
    "Extra",
    "Number",
    "RowError",
    "Stamp",
    "bar_line",
    "named_row",
    "quote_line",
    "trade_line",
]

#: A moment: a datetime with a zone, text in ISO 8601, or a number since 1970 whose size tells its unit.
#: Stamps of pandas and numpy are taken too; those of numpy, which have no zone, are in UTC.
Stamp = Union[datetime, date, str, int, float, Any]
Number = Union[int, float, Decimal, Any]
Extra = Mapping[str, Any]

HEADERS = {
    "trades": "symbol,timestamp,price,size,id,exchange,conditions,tape,extra",
    "quotes": (
        "symbol,timestamp,bid_price,bid_size,ask_price,ask_size,"
        "id,bid_exchange,ask_exchange,conditions,tape,extra"
    ),
    "bars": "symbol,timestamp,open,high,low,close,volume,trade_count,vwap,extra",
}

#: Numbers of fewer digits could be taken for a date.
_EPOCH_MIN = 100_000_000
#: Tickers whose text is remembered.
_TICKERS_MAX = 100_000
_tickers: dict[str, str] = {}


class RowError(StockDBError, ValueError):
    """A row that can't be sent. The writer hasn't taken it."""


def trade_line(
    ticker: str,
    timestamp: Stamp,
    price: Number,
    size: Number | None,
    id: str | int | None,
    exchange: str | None,
    conditions: Sequence[str] | None,
    tape: str | None,
    extra: Extra | None,
) -> str:
    head = (
        f"{_tickers.get(ticker) or _ticker(ticker)},{_stamp(timestamp)},"
        f"{_number(price, 'price')},{_number(size, 'size')},{_id(id)}"
    )
    if exchange is None and conditions is None and tape is None and extra is None:
        return head + ",,,,"
    return (
        f"{head},{_text(exchange, 'exchange')},{_json(conditions, 'conditions')},"
        f"{_text(tape, 'tape')},{_json(extra, 'extra')}"
    )


def quote_line(
    ticker: str,
    timestamp: Stamp,
    bid_price: Number | None,
    bid_size: Number | None,
    ask_price: Number | None,
    ask_size: Number | None,
    id: str | int | None,
    bid_exchange: str | None,
    ask_exchange: str | None,
    conditions: Sequence[str] | None,
    tape: str | None,
    extra: Extra | None,
) -> str:
    return (
        f"{_tickers.get(ticker) or _ticker(ticker)},{_stamp(timestamp)},"
        f"{_number(bid_price, 'bid_price')},{_number(bid_size, 'bid_size')},"
        f"{_number(ask_price, 'ask_price')},{_number(ask_size, 'ask_size')},{_id(id)},"
        f"{_text(bid_exchange, 'bid_exchange')},{_text(ask_exchange, 'ask_exchange')},"
        f"{_json(conditions, 'conditions')},{_text(tape, 'tape')},{_json(extra, 'extra')}"
    )


def bar_line(
    ticker: str,
    timestamp: Stamp,
    open: Number,
    high: Number,
    low: Number,
    close: Number,
    volume: Number | None,
    trade_count: Number | None,
    vwap: Number | None,
    extra: Extra | None,
) -> str:
    return (
        f"{_tickers.get(ticker) or _ticker(ticker)},{_stamp(timestamp)},"
        f"{_number(open, 'open')},{_number(high, 'high')},{_number(low, 'low')},{_number(close, 'close')},"
        f"{_number(volume, 'volume')},{_number(trade_count, 'trade_count')},{_number(vwap, 'vwap')},"
        f"{_json(extra, 'extra')}"
    )


def named_row(table: str, line: str) -> dict[str, str]:
    """A line as a dict of texts, without what has no value."""
    header = HEADERS[table].split(",")
    fields = next(csv.reader(io.StringIO(line, newline="")))
    return {name: field for name, field in zip(header, fields) if field != ""}


def _ticker(ticker: str) -> str:
    if not isinstance(ticker, str) or ticker == "":
        raise RowError(f"ticker: got {ticker!r}, expected a text that isn't empty")
    text = _quoted(ticker, "ticker")
    if len(_tickers) >= _TICKERS_MAX:
        _tickers.clear()
    _tickers[ticker] = text
    return text


def _stamp(value: Any) -> str:
    kind = type(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise RowError(
                f"timestamp: got {value!r} without a zone, expected one with a zone, "
                "such as datetime.now(timezone.utc)"
            )
        return value.isoformat()
    if kind is int:
        if -_EPOCH_MIN < value < _EPOCH_MIN:
            raise RowError(f"timestamp: got {value}, expected a number since 1970, such as 1704205800123456")
        return str(value)
    if kind is str:
        if value == "":
            raise RowError("timestamp: got an empty text, expected ISO 8601")
        return _quoted(value, "timestamp")
    if isinstance(value, float):
        if not math.isfinite(value) or abs(value) < _EPOCH_MIN:
            raise RowError(f"timestamp: got {value}, expected a number since 1970, such as time.time()")
        return float.__repr__(value)
    if isinstance(value, date):
        return value.isoformat()
    if type(value).__name__ == "datetime64":
        text = str(value)
        if text == "NaT":
            raise RowError("timestamp: got NaT, expected a moment")
        return text + "Z" if "T" in text else text
    try:
        return _stamp(operator.index(value))
    except TypeError:
        raise RowError(
            f"timestamp: got {value!r}, expected a datetime with a zone, ISO 8601, or a number since 1970"
        ) from None


def _number(value: Any, name: str) -> str:
    kind = type(value)
    if kind is float:
        if value - value == 0.0:
            return repr(value)
    elif kind is int:
        return str(value)
    elif value is None:
        return ""
    elif isinstance(value, float):
        if math.isfinite(value):
            return float.__repr__(value)
    elif isinstance(value, Decimal):
        if value.is_finite():
            return str(value)
    elif not isinstance(value, (bool, str)):
        try:
            return str(operator.index(value))
        except TypeError:
            pass
        try:
            return _number(float(value), name)
        except (TypeError, ValueError):
            pass
    raise RowError(f"{name}: got {value!r}, expected a finite number, or None where there is none")


def _id(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    if isinstance(value, str):
        if value == "":
            raise RowError("id: got an empty text, expected an id, or None where there is none")
        return value if value.isalnum() else _quoted(value, "id")
    try:
        return str(operator.index(value))
    except TypeError:
        raise RowError(f"id: got {value!r}, expected a text or a whole number") from None


def _text(value: str | None, name: str) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise RowError(f"{name}: got {value!r}, expected a text")
    return _quoted(value, name)


def _json(value: Any, name: str) -> str:
    if value is None:
        return ""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise RowError(f"{name}: got {value!r}, expected what JSON can have: {error}") from None
    return '"' + text.replace('"', '""') + '"'


def _quoted(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RowError(f"{name}: got {text!r}, expected text of whole characters") from None
    if text.isalnum() or not any(mark in text for mark in ',"\n\r'):
        return text
    return '"' + text.replace('"', '""') + '"'
