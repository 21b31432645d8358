"""Saves: rows are split to what a request takes, and each part is sent until it is answered."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from .errors import (
    ConnectionLost,
    IncompleteAnswer,
    RequestRefused,
    SaveFailed,
    ServerUnavailable,
    ServerWarning,
    StockDBError,
)
from .http import Transport
from .rows import caller
from .tables import checked, tables_of

__all__ = ["Saved", "save"]

#: The server stores so many rows together: a request of that size is stored whole or not at all.
ROWS_MAX = 15_000
#: Bytes of a body; `--max-body-mb` is 10 by default.
BYTES_MAX = 8_000_000
#: Bodies from this size on are packed, where bodies are.
PACKED_BYTES_MIN = 4_096
TOO_LARGE = 413
#: A server in front of another one stores ticker by ticker, and tells so which rows it has stored.
STORED_BESIDE = "are stored, and no others"
TOO_MANY_REQUESTS = 429
#: Letters of an own `idempotency_key`: the rows of each part are added, and the server takes 255.
KEY_MAX = 200


@dataclass
class Saved:
    """What a save did. `rows` = `stored` + `replaced` + `repeated` + `skipped`."""

    rows: int = 0
    #: New ones.
    stored: int = 0
    #: Those that stand in place of a row of the same key.
    replaced: int = 0
    #: Those that were stored already, and have changed nothing.
    repeated: int = 0
    skipped: int = 0
    epoch: str | None = None
    #: Of each ticker the update after which its rows are stored.
    positions: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    #: Of the whole save. With it, the same rows may be saved again, and nothing is stored twice.
    idempotency_key: str = ""


def save(
    transport: Transport, kind: str, data: Any, parameters: Mapping[str, Any], idempotency_key: str | None
) -> Saved:
    """`kind` is `bars`, `trades` or `quotes`; `parameters` are those of the URL."""
    key = uuid.uuid4().hex if idempotency_key is None else idempotency_key
    if not key or len(key) > KEY_MAX or not key.isascii() or not key.isprintable():
        raise ValueError(f"idempotency_key: got {key!r}, expected 1 to {KEY_MAX} printable letters of ASCII")
    sender = _Sender(transport, f"/v1/{kind}", parameters, Saved(idempotency_key=key))
    for table in tables_of(data):
        sender.send(checked(table, kind, parameters), _dictionaries(table))
    return sender.saved


class _Sender:
    def __init__(
        self, transport: Transport, path: str, parameters: Mapping[str, Any], saved: Saved
    ) -> None:
        self._transport = transport
        self._path = path
        self._parameters = {name: str(value) for name, value in parameters.items()}
        self.saved = saved

    def send(self, table: pa.Table, encoded: list[str]) -> None:
        begin = self.saved.rows
        for at in range(0, table.num_rows, ROWS_MAX):
            part = table.slice(at, ROWS_MAX)
            self._part(_Part(part, begin + at, begin + table.num_rows, encoded))

    def _part(self, part: _Part) -> None:
        body = part.body()
        if len(body) > BYTES_MAX and part.table.num_rows > 1:
            return self._halves(part)
        try:
            answer = self._transport.repeated(lambda: self._once(part, body), after_silence=True)
        except RequestRefused as error:
            if error.status == TOO_LARGE and part.table.num_rows > 1:
                return self._halves(part)
            is_whole = STORED_BESIDE not in str(error.body.get("details", ""))
            raise self._failure(part, error, is_known=is_whole) from error
        except ServerUnavailable as error:
            raise self._failure(part, error, is_known=error.status == TOO_MANY_REQUESTS) from error
        except (ConnectionLost, IncompleteAnswer) as error:
            raise self._failure(part, error, is_known=False) from error
        self._count(answer)

    def _halves(self, part: _Part) -> None:
        for half in part.halves():
            self._part(half)

    def _once(self, part: _Part, body: bytes) -> dict[str, Any]:
        headers = {
            "Content-Type": "application/vnd.apache.arrow.stream",
            "Idempotency-Key": f"{self.saved.idempotency_key}/{part.first}-{part.end}",
        }
        if self._transport.connection.compress and len(body) >= PACKED_BYTES_MIN:
            is_there = pa.Codec.is_available("zstd")
            headers["Content-Encoding"] = "zstd" if is_there else "gzip"
            body = pa.compress(body, codec=headers["Content-Encoding"], asbytes=True)
        return self._transport.once_json(self._path, self._parameters, body, headers)

    def _count(self, answer: Mapping[str, Any]) -> None:
        saved = self.saved
        for name in ("rows", "stored", "replaced", "repeated", "skipped"):
            setattr(saved, name, getattr(saved, name) + int(answer[name]))
        saved.epoch = answer.get("epoch", saved.epoch)
        saved.positions.update(answer.get("positions", {}))
        for text in answer.get("warnings", []):
            if text not in saved.warnings:
                saved.warnings.append(text)
                warnings.warn(text, ServerWarning, stacklevel=caller())

    def _failure(self, part: _Part, error: StockDBError, *, is_known: bool) -> StockDBError:
        """The error itself, where nothing at all is stored."""
        if is_known and part.first == 0:
            return error
        doubted = "aren't stored" if is_known else "may be stored or not"
        told = [f"rows {part.first} to {part.end - 1} {doubted}: {error}"]
        if part.first > 0:
            told.append(f"rows 0 to {part.first - 1} are stored")
            if is_known:
                told.append(f"a row that is named is counted from row {part.first}")
        if part.end < part.total:
            told.append(f"rows from {part.end} on weren't sent")
        rest = part.first if is_known else part.end
        return SaveFailed(
            "; ".join(told),
            stored=[(0, part.first)] if part.first > 0 else [],
            refused=[(rest, part.total)] if rest < part.total else [],
            unknown=[] if is_known else [(part.first, part.end)],
            idempotency_key=self.saved.idempotency_key,
        )


@dataclass(frozen=True)
class _Part:
    table: pa.Table
    #: Among all rows of the save, from 0.
    first: int
    #: Rows that are there in all, as far as is known.
    total: int
    #: Columns that have few different texts.
    encoded: list[str]

    @property
    def end(self) -> int:
        return self.first + int(self.table.num_rows)

    def halves(self) -> Iterator[_Part]:
        middle = self.table.num_rows // 2
        yield _Part(self.table.slice(0, middle), self.first, self.total, self.encoded)
        yield _Part(self.table.slice(middle), self.first + middle, self.total, self.encoded)

    def body(self) -> bytes:
        table = self.table.combine_chunks()
        for at, name in enumerate(table.column_names):
            if name in self.encoded:
                # Of this part alone: the dictionary of all rows may be much larger than the part.
                table = table.set_column(at, name, table.column(at).dictionary_encode())
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())


def _dictionaries(table: pa.Table) -> list[str]:
    return [
        each.name
        for each in table.schema
        if pa.types.is_dictionary(each.type) and pa.types.is_string(_text(each.type.value_type))
    ]


def _text(of: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_large_string(of) or pa.types.is_string_view(of) else of
