"""What a question answers: rows that are read when they are wanted, in the library that is wanted."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from .arrow_answers import ArrowAnswer, open_answer, unite
from .errors import IncompleteAnswer, ServerWarning
from .frames import Index, pandas_frame, polars_frame
from .http import Transport

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["Question", "Rows", "TableRows", "caller"]

#: Rows of a page: the server gives no more.
PAGE_MAX = 100_000


@dataclass(frozen=True)
class Question:
    path: str
    #: Those of the path, without `format`, `limit` and `page_token`.
    parameters: Mapping[str, Any]
    #: Rows in all; None: every row.
    limit: int | None = None
    is_paged: bool = True


@dataclass
class _Told:
    warnings: list[str] = field(default_factory=list)
    epoch: str | None = None
    positions: dict[str, int] = field(default_factory=dict)


class _Frames:
    """What a table can become."""

    _index: Index

    def to_arrow(self) -> pa.Table:
        raise NotImplementedError

    def to_polars(self, *, categories: bool = False) -> pl.DataFrame:
        """A polars DataFrame; counts are Int64, stamps Datetime("us", zone), in order of the answer.

        Tickers are String; with `categories` Categorical, which takes less memory. Needs polars.
        """
        return polars_frame(self.to_arrow(), categories)

    def to_pandas(
        self, *, index: Literal["auto", "none"] = "auto", categories: bool = False
    ) -> pd.DataFrame:
        """A pandas DataFrame.

        Of one ticker, asked for as text, the index is `timestamp`, a DatetimeIndex with a zone, and
        there is no column `symbol`. Of a list or a pattern it is (`symbol`, `timestamp`), however
        many tickers there are. A matrix has `timestamp`. What has one row a ticker or contract has
        `symbol`. With `index="none"` rows are numbered and all columns are columns.

        Prices are float64 with NaN. Counts are int64, and Int64 with NA where one is missing. Stamps
        are datetime64[us, zone]. Tickers are text; with `categories` a categorical column, which
        takes less memory. Needs pandas.
        """
        if index not in ("auto", "none"):
            raise ValueError(f"index: got {index!r}, expected 'auto' or 'none'")
        return pandas_frame(self.to_arrow(), self._index if index == "auto" else Index(), categories)

    def __len__(self) -> int:
        return int(self.to_arrow().num_rows)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """So `pl.DataFrame(rows)`, `pa.table(rows)` and DuckDB take the rows as they are."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


class TableRows(_Frames):
    """Rows that are there already."""

    def __init__(self, table: pa.Table, index: Index) -> None:
        self._table = table
        self._index = index

    def to_arrow(self) -> pa.Table:
        """A pyarrow Table."""
        return self._table

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as pyarrow RecordBatches."""
        return iter(self._table.to_batches())

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches()

    def __repr__(self) -> str:
        return f"<{self._table.num_rows} rows: {', '.join(self._table.column_names)}>"


class Rows(_Frames):
    """The answer to a question. It is asked when rows are first wanted, and kept by `to_…` alone.

    `to_pandas()`, `to_polars()` and `to_arrow()` read all rows, once. A loop over it, or over
    `batches()`, reads one pyarrow RecordBatch after the other in bounded memory, and asks anew each
    time, unless all rows are kept already.

    Each raises `RequestRefused` for a question that can't be answered, `NotAllowed` without a key
    that may ask it, `ServerUnavailable` and `ConnectionLost` where repetitions were of no use, and
    `IncompleteAnswer` for rows that aren't all.
    """

    def __init__(
        self, transport: Transport, questions: list[Question], index: Index, accepted: str | None
    ) -> None:
        self._transport = transport
        self._questions = questions
        self._index = index
        self._accepted = accepted
        self._table: pa.Table | None = None
        self._told: _Told | None = None

    def __repr__(self) -> str:
        path = self._questions[0].path
        if self._table is None:
            return f"<rows of {path}, not read yet: .to_pandas(), .to_polars(), .to_arrow() or a loop>"
        return f"<{self._table.num_rows} rows of {path}: {', '.join(self._table.column_names)}>"

    def to_arrow(self) -> pa.Table:
        """A pyarrow Table: `symbol` is a dictionary, stamps are timestamp[us, zone]."""
        if self._table is None:
            told = _Told()
            tables = [page for each in self._questions for page in self._pages(each, told)]
            self._table, self._told = unite(tables), told
        return self._table

    def batches(self, *, page_size: int | None = None) -> Iterator[pa.RecordBatch]:
        """One pyarrow RecordBatch after the other; memory holds a few at a time.

        Without `page_size` it is one answer of one moment, which the server reads on while the loop
        goes on. If it breaks off, `IncompleteAnswer` comes in its place. With `page_size`, 1 to
        100,000 rows, pages are asked for as they are wanted: a slow loop holds nothing up, a page
        that breaks off is asked for again, and rows that are saved meanwhile may be among them.
        """
        if page_size is not None and not 1 <= page_size <= PAGE_MAX:
            raise ValueError(f"page_size: got {page_size}, expected 1 to {PAGE_MAX}")
        if self._table is not None:
            yield from self._table.to_batches()
            return
        told = _Told()
        for question in self._questions:
            if question.is_paged and (page_size is not None or question.limit is not None):
                for page in self._pages(question, told, page_size):
                    yield from page.to_batches()
            else:
                yield from self._streamed(question, told)
        self._told = told

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches()

    @property
    def warnings(self) -> list[str]:
        """What the server warns of, such as a ticker without rows. Reads the rows if need be."""
        return list(self._known().warnings)

    @property
    def positions(self) -> dict[str, int]:
        """With `with_position`: up to which update each ticker's rows are whole.

        Of rows that came in pages it is the position of the first page: no row up to it is missing, and
        later pages may have rows of later updates.
        """
        return dict(self._known().positions)

    @property
    def epoch(self) -> str | None:
        """With `with_position`: the epoch in which the positions count."""
        return self._known().epoch

    def _known(self) -> _Told:
        if self._told is None:
            self.to_arrow()
        assert self._told is not None
        return self._told

    def _pages(self, question: Question, told: _Told, page_size: int | None = None) -> Iterator[pa.Table]:
        left, token = question.limit, None
        while True:
            parameters = dict(question.parameters)
            if left is not None or page_size is not None:
                sizes = [size for size in (left, page_size, PAGE_MAX) if size is not None]
                parameters["limit"] = min(sizes)
            if token is not None:
                parameters["page_token"] = token
            answer, table = self._transport.repeated(lambda: self._read(question.path, parameters))
            self._tell(answer, told)
            yield table
            token = answer.next_page_token
            if left is not None:
                left -= table.num_rows
            if token is None or left == 0:
                return

    def _read(self, path: str, parameters: Mapping[str, Any]) -> tuple[ArrowAnswer, pa.Table]:
        answer = open_answer(self._transport, path, parameters, self._accepted)
        return answer, answer.table()

    def _streamed(self, question: Question, told: _Told) -> Iterator[pa.RecordBatch]:
        def opened() -> tuple[Iterator[pa.RecordBatch], pa.RecordBatch | None, ArrowAnswer]:
            answer = open_answer(self._transport, question.path, question.parameters, self._accepted)
            batches = answer.batches()
            return batches, next(batches, None), answer

        batches, first, answer = self._transport.repeated(opened)
        self._tell(answer, told)
        if answer.next_page_token is not None:
            answer.close()
            raise IncompleteAnswer(f"{question.path}: got a page, expected every row")
        try:
            if first is not None:
                yield first
                yield from batches
        finally:
            answer.close()

    def _tell(self, answer: ArrowAnswer, told: _Told) -> None:
        # Of several pages the first counts: what is saved meanwhile may be missing in it, and a stream
        # from a later position would not tell it.
        told.epoch = told.epoch or answer.metadata.get("epoch")
        for ticker, position in json.loads(answer.metadata.get("positions", "{}")).items():
            told.positions.setdefault(ticker, position)
        for text in answer.warnings:
            if text not in told.warnings:
                told.warnings.append(text)
                warnings.warn(text, ServerWarning, stacklevel=caller())


def caller() -> int:
    """Frames up to the first that isn't of this package."""
    import sys

    level, frame = 1, sys._getframe(1)
    package = __name__.rpartition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(package + "."):
        level, frame = level + 1, frame.f_back
    return level
