"""What users hold, as tables of Arrow in types that the server reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

__all__ = ["checked", "tables_of"]

#: In any case of letters; the short ones in that case alone.
_SYMBOLS, _SHORT_SYMBOLS = ("symbol", "ticker"), ("S",)
_STAMPS, _SHORT_STAMPS = ("timestamp", "datetime", "time"), ("t",)
#: Bars of these have dates, which no zone moves.
_DAYS = re.compile(r"\d*\s*(d|day|days|daily|w|week|weeks|weekly)", re.IGNORECASE)

_EXPECTED = (
    "expected a DataFrame of pandas or polars, a Table or RecordBatch of pyarrow, a dict of columns "
    "or a list of dicts"
)


def tables_of(data: Any) -> Iterator[pa.Table]:
    """One table, or, of a RecordBatchReader, one after the other. Raises `TypeError`, `ValueError`."""
    library = type(data).__module__.partition(".")[0]
    if isinstance(data, pa.Table):
        yield data
    elif isinstance(data, pa.RecordBatch):
        yield pa.Table.from_batches([data])
    elif isinstance(data, pa.RecordBatchReader):
        for batch in data:
            yield pa.Table.from_batches([batch])
    elif library == "pandas":
        yield _of_pandas(data)
    elif library == "polars":
        frame = data.collect() if hasattr(data, "collect") else data
        yield frame.to_arrow()
    elif isinstance(data, Mapping):
        yield pa.table(dict(data))
    elif isinstance(data, list):
        if not all(isinstance(each, Mapping) for each in data):
            raise TypeError(f"data: got a list of other things than dicts, {_EXPECTED}")
        names = dict.fromkeys(name for each in data for name in each)
        yield pa.table({name: pa.array([each.get(name) for each in data]) for name in names})
    elif hasattr(data, "__arrow_c_stream__"):
        yield pa.table(data)
    else:
        raise TypeError(f"data: got {type(data).__name__}, {_EXPECTED}")


def checked(table: pa.Table, kind: str, parameters: Mapping[str, Any]) -> pa.Table:
    """Its types are those that the server reads. Raises `ValueError` for what is left to guess."""
    for name in table.column_names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"data: got a column called {name!r}, expected a name")
    symbols = [name for name in table.column_names if _is_any(name, _SYMBOLS, _SHORT_SYMBOLS)]
    if "symbol" in parameters and symbols:
        raise ValueError(
            f"ticker: got {parameters['symbol']!r} beside the column {symbols[0]!r}, expected one of them"
        )
    if "symbol" not in parameters and not symbols:
        found = ", ".join(table.column_names)
        raise ValueError(f"data: got the columns {found}, expected one called symbol, or ticker=…")
    dates = ("date",) if kind == "bars" else ()
    has_days = kind == "bars" and _DAYS.fullmatch(str(parameters.get("timeframe", ""))) is not None
    columns: dict[str, Any] = {}
    for field in table.schema:
        column = table.column(field.name)
        is_stamp = _is_any(field.name, (*_STAMPS, *dates), _SHORT_STAMPS)
        is_naive = pa.types.is_timestamp(field.type) and field.type.tz is None
        if is_stamp and is_naive and "tz" not in parameters and not has_days:
            raise ValueError(
                f"data: the stamps of {field.name!r} have no zone; expected one, "
                "or the zone of their clock as tz=…"
            )
        if not pa.types.is_null(field.type):
            columns[field.name] = column.cast(_plain(field.type))
    return pa.table(columns)


def _is_any(name: str, long: tuple[str, ...], short: tuple[str, ...]) -> bool:
    return name in short or name.lower() in long


def _plain(of: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_dictionary(of):
        return _plain(of.value_type)
    if types.is_large_string(of) or types.is_string_view(of):
        return pa.string()
    if types.is_signed_integer(of) or (types.is_unsigned_integer(of) and of.bit_width < 64):
        return pa.int64()
    if types.is_floating(of) or types.is_decimal(of):
        return pa.float64()
    if types.is_list(of) or types.is_large_list(of) or types.is_fixed_size_list(of):
        return pa.list_(_plain(of.value_type))
    return of


def _of_pandas(data: Any) -> pa.Table:
    if not hasattr(data, "columns"):
        raise TypeError(f"data: got a {type(data).__name__} of pandas, {_EXPECTED}")
    if data.columns.nlevels > 1:
        raise ValueError(
            "data: got columns of several levels, expected one; stack(level=…, future_stack=True) makes "
            "rows of the level with the tickers"
        )
    for name in data.columns:
        if not isinstance(name, str):
            raise ValueError(f"data: got a column called {name!r}, expected a text")
    return pa.Table.from_pandas(_with_index(data), preserve_index=False)


def _with_index(data: Any) -> Any:
    index = data.index
    if index.nlevels == 1 and index.name is None:
        if type(index).__name__ == "RangeIndex" or any(
            _is_any(name, (*_STAMPS, "date"), _SHORT_STAMPS) for name in data.columns
        ):
            return data
        if index.dtype.kind not in "mMOT" and type(index).__name__ != "DatetimeIndex":
            return data
        index = index.rename("timestamp")
    if any(name is None for name in index.names):
        raise ValueError(f"data: got an index called {list(index.names)}, expected names")
    taken = [name for name in index.names if name in data.columns]
    if taken:
        raise ValueError(f"data: got an index and a column called {taken[0]!r}, expected one of them")
    return data.set_axis(index, axis=0).reset_index()
