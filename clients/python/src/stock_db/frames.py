"""Tables of Arrow as DataFrames, with the index and the types that users of each library expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["Index", "pandas_frame", "polars_frame"]


@dataclass(frozen=True)
class Index:
    """Which columns become the index, if they are there."""

    names: tuple[str, ...] = ()
    #: Says the same in each row, and is left out.
    dropped: str | None = None


def polars_frame(table: pa.Table, categories: bool) -> pl.DataFrame:
    try:
        import polars as pl
    except ImportError as error:
        raise ImportError("to_polars() needs polars: pip install 'stock-db[polars]'") from error
    made = pl.from_arrow(table if categories else _without_dictionaries(table))
    assert isinstance(made, pl.DataFrame)
    return made


def pandas_frame(table: pa.Table, index: Index, categories: bool) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("to_pandas() needs pandas: pip install 'stock-db[pandas]'") from error
    names = [name for name in index.names if name in table.column_names]
    if index.dropped is not None and index.dropped in table.column_names:
        table = table.drop_columns([index.dropped])
    if not categories:
        kept = [name for name in names if len(names) > 1]
        table = _without_dictionaries(table, kept)
    series = {name: _pandas_column(table.column(name), pd) for name in table.column_names}
    if not names:
        return pd.DataFrame(series, copy=False)
    keys = [series.pop(name) for name in names]
    if len(keys) == 1:
        labels: Any = pd.Index(keys[0], name=names[0])
    else:
        labels = pd.MultiIndex.from_arrays(keys, names=names)
        if not categories:
            # By their codes: to look up each row's text would take longer than all else.
            plain = [level.astype(str) if level.dtype == "category" else level for level in labels.levels]
            labels = labels.set_levels(plain)
    if not series:
        return pd.DataFrame(index=labels)
    return pd.DataFrame({name: each.array for name, each in series.items()}, index=labels, copy=False)


def _pandas_column(column: pa.ChunkedArray, pd: Any) -> Any:
    types = None
    if column.null_count > 0 and pa.types.is_integer(column.type):
        types = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}.get
    return column.to_pandas(types_mapper=types, date_as_object=False)


def _without_dictionaries(table: pa.Table, but: list[str] | None = None) -> pa.Table:
    for at, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type) and column.name not in (but or []):
            table = table.set_column(at, column.name, table.column(at).cast(column.type.value_type))
    return table
