"""Answers of the server as Arrow: read batch by batch, and never taken for whole when they aren't."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from .errors import IncompleteAnswer
from .http import Body, Transport

__all__ = ["ArrowAnswer", "open_answer", "unite"]

#: What ends every stream. pyarrow takes a stream without it as whole, if it ends between two batches.
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class _Tail:
    """A file that remembers the last bytes that were read of it."""

    def __init__(self, read: Callable[[int], Any]) -> None:
        self._read = read
        self.last = b""
        self.closed = False

    def read(self, size: int = -1) -> Any:
        got = self._read(size)
        if len(got) >= len(END_OF_STREAM):
            self.last = bytes(memoryview(got)[-len(END_OF_STREAM) :])
        else:
            self.last = (self.last + bytes(got))[-len(END_OF_STREAM) :]
        return got

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


class ArrowAnswer:
    """One page, or an answer that is one page. Its rows are read once."""

    def __init__(self, body: Body) -> None:
        self._body = body
        read: Callable[[int], Any] = body.read
        coding = body.headers.get("content-encoding")
        if coding is not None:
            read = pa.CompressedInputStream(pa.PythonFile(body, mode="r"), coding).read
        self._tail = _Tail(read)
        self._reader = _guarded(lambda: pa.ipc.open_stream(pa.PythonFile(self._tail, mode="r")))
        self.schema: pa.Schema = self._reader.schema
        metadata = self.schema.metadata or {}
        self.metadata: Mapping[str, str] = {
            name.decode(): value.decode() for name, value in metadata.items()
        }

    @property
    def next_page_token(self) -> str | None:
        return self.metadata.get("next_page_token") or None

    @property
    def warnings(self) -> list[str]:
        return [str(each) for each in json.loads(self.metadata.get("warnings", "[]"))]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Raises `IncompleteAnswer` at the place where the answer breaks off."""
        try:
            while (batch := _guarded(self._next)) is not None:
                yield batch
            if self._tail.last != END_OF_STREAM:
                raise IncompleteAnswer("the answer ends without the mark of its end: rows are missing")
            if self._body.read(-1):
                raise IncompleteAnswer("the answer goes on behind its end")
        finally:
            self.close()

    def table(self) -> pa.Table:
        return pa.Table.from_batches(list(self.batches()), self.schema)

    def close(self) -> None:
        self._body.close()

    def _next(self) -> pa.RecordBatch | None:
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            return None


def open_answer(
    transport: Transport, path: str, parameters: Mapping[str, Any], accepted: str | None
) -> ArrowAnswer:
    """Asked once: what may be asked again is for the caller to say."""
    body = transport.ask(path, {**parameters, "format": "arrow"}, accepted)
    try:
        return ArrowAnswer(body)
    except BaseException:
        body.close()
        raise


def unite(tables: list[pa.Table]) -> pa.Table:
    """Pages below each other. A column that is wider in one of them is so in all."""
    if len(tables) == 1:
        return tables[0]
    texts = {
        field.name
        for table in tables
        for field in table.schema
        if pa.types.is_string(field.type) and not _is_text_in_all(tables, field.name)
    }
    if texts:
        tables = [_with_texts(table, texts) for table in tables]
    return pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()


def _is_text_in_all(tables: list[pa.Table], name: str) -> bool:
    types = [table.schema.field(name).type for table in tables if name in table.schema.names]
    return all(pa.types.is_string(each) for each in types)


def _with_texts(table: pa.Table, names: set[str]) -> pa.Table:
    for index, field in enumerate(table.schema):
        if field.name in names and not pa.types.is_string(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.string()))
    return table


def _guarded(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except IncompleteAnswer:
        raise
    except (pa.ArrowException, OSError, EOFError) as error:
        if isinstance(error.__cause__, IncompleteAnswer):
            raise error.__cause__ from None
        raise IncompleteAnswer(f"the answer broke off or is no Arrow: {error}") from error
