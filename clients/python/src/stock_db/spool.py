"""The spool of a writer: rows on disk until the server has them.

A spool is a folder of files of rows. Each row is handed to the system before it counts as taken, so
it survives the end of this process, however that comes. A record has a length and a checksum; what a
kill or a power failure has cut off at the very end is dropped when the spool is opened again.

Rows belong to lanes (trades, quotes, bars of a length), and have numbers 1, 2, 3 … within theirs.
Beside the rows the files say which of them were sent as one batch, under which key, and up to which
number the server has them. So whoever opens the spool next sends the same batches with the same
keys, and the server knows those that it has already.
"""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from .errors import StockDBError

__all__ = ["SPOOL_BYTES", "SYNC_SECONDS", "Spool", "SpoolDamaged", "SpoolFull", "SpoolInUse", "SpoolLane"]

#: Bytes that a spool takes on disk, unless the writer is told otherwise.
SPOOL_BYTES = 1024 * 1024 * 1024
#: Bytes of one file of a spool. Files go when all their rows, and those of older files, are stored.
FILE_BYTES = 16 * 1024 * 1024
#: What was taken is forced to the disk so often, for power failures.
SYNC_SECONDS = 1.0
#: Bytes that are read at once from a spool.
READ_BYTES = 256 * 1024
#: How long a writer waits for the one before it to leave the spool.
LOCK_SECONDS = 2.0

_MAGIC = b"stock-db spool 1\n"
_HEAD = struct.Struct("<IIBB")  # length and checksum of what follows, kind, lane
_NUMBER = struct.Struct("<Q")
_BATCH = struct.Struct("<QI")  # number of the first row, count of rows; the key follows

_ROW, _LANE, _SENT, _STORED = 1, 2, 3, 4
_LANES_MAX = 256


class SpoolFull(StockDBError):
    """The spool has reached its bound. The row was not taken."""


class SpoolInUse(StockDBError):
    """Another writer has the spool open."""


class SpoolDamaged(StockDBError):
    """A file of the spool can't be read, at a place that no kill explains."""


class SpoolLane:
    """One kind of rows of a spool."""

    __slots__ = ("code", "files", "name", "next", "sent", "stored")

    def __init__(self, name: str, code: int, first: int) -> None:
        self.name = name
        self.code = code
        #: Number of the row that comes next.
        self.next = first
        #: The server has all rows up to this number.
        self.stored = first - 1
        #: Batches that were sent before the spool was opened, without an answer: the number of the
        #: first row, the count, the key.
        self.sent: deque[tuple[int, int, str]] = deque()
        #: Files with rows of this lane, and the last number in each.
        self.files: deque[list[Any]] = deque()


class _File:
    __slots__ = ("firsts", "index", "lanes", "path", "size")

    def __init__(self, path: Path, index: int) -> None:
        self.path = path
        self.index = index
        self.size = 0
        #: Lanes with rows here that the server may not have.
        self.lanes: set[int] = set()
        #: Number of the first row of each lane, as the file tells it.
        self.firsts: dict[int, int] = {}


class Spool:
    """Not safe for several threads at once: its writer has a lock.

    Raises `SpoolInUse` and `SpoolDamaged`, and `OSError` where the folder can't be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = SPOOL_BYTES,
        file_bytes: int = FILE_BYTES,
        sync_seconds: float = SYNC_SECONDS,
    ) -> None:
        if max_bytes < 1024:
            raise ValueError(f"spool_bytes: got {max_bytes}, expected at least 1024")
        self.path = Path(path)
        self.max_bytes = max_bytes
        self.lanes: dict[str, SpoolLane] = {}
        #: Bytes of all files.
        self.bytes = 0
        #: Bytes that were cut off at the end, as their record was not whole.
        self.torn_bytes = 0
        self._file_bytes = min(file_bytes, max(1024, max_bytes // 4))
        self._by_code: list[SpoolLane] = []
        self._files: deque[_File] = deque()
        self._fd = -1
        self._read_codes: dict[int, SpoolLane] = {}
        self._read_numbers: dict[int, int] = {}
        self._read_from(0)
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock_file: IO[bytes] = _lock(self.path / "lock")
        self._syncer: _Syncer | None = None
        try:
            self._scan()
            self._begin_file()
        except BaseException:
            self._lock_file.close()
            raise
        self._sync_seconds = sync_seconds
        if sync_seconds > 0:
            self._syncer = _Syncer(sync_seconds)
            self._syncer.watch(self._fd)

    def lane(self, name: str) -> SpoolLane:
        """The lane of that name, a new one if there is none."""
        lane = self.lanes.get(name)
        return self._add_lane(name, 1) if lane is None else lane

    def append(self, lane: SpoolLane, row: bytes) -> None:
        """Takes a row. Raises `SpoolFull`, or `OSError` if the disk refuses; then it isn't taken."""
        file = self._files[-1]
        if file.size >= self._file_bytes:
            file = self._begin_file()
        if self.bytes + len(row) + _HEAD.size > self.max_bytes:
            raise SpoolFull(
                f"spool {self.path}: {self.bytes:,} bytes wait for the server, "
                f"at most {self.max_bytes:,} are allowed (spool_bytes); the row was not taken"
            )
        code = lane.code
        if code not in file.firsts:
            self._tell_lane(file, lane)
        self._write(file, _ROW, code, row)
        if self._sync_seconds == 0:
            os.fsync(self._fd)
        files = lane.files
        if files and files[-1][0] is file:
            files[-1][1] = lane.next
        else:
            files.append([file, lane.next])
            file.lanes.add(code)
        lane.next += 1

    def sent(self, lane: SpoolLane, first: int, count: int, key: str) -> None:
        """Notes a batch, before it is sent."""
        file = self._files[-1]
        if lane.code not in file.firsts:
            self._tell_lane(file, lane)
        self._write(file, _SENT, lane.code, _BATCH.pack(first, count) + key.encode("ascii"))

    def stored(self, lane: SpoolLane, through: int) -> None:
        """Notes that the server has all rows up to this number, or has refused them."""
        lane.stored = through
        file = self._files[-1]
        if lane.code not in file.firsts:
            self._tell_lane(file, lane)
        self._write(file, _STORED, lane.code, _NUMBER.pack(through))
        self._release(lane)

    def read(self, count: int) -> list[tuple[SpoolLane, int, bytes]]:
        """The next rows that the server may not have: lane, number, row. Empty at the end."""
        rows: list[tuple[SpoolLane, int, bytes]] = []
        while len(rows) < count:
            file = next((each for each in self._files if each.index >= self._read_file), None)
            if file is None:
                break
            if file.index != self._read_file:
                self._read_from(file.index)
            if self._read_at >= file.size:
                if file is self._files[-1]:
                    break
                self._read_from(file.index + 1)
                continue
            self._read_some(file, count, rows)
        return rows

    @property
    def is_read(self) -> bool:
        """Nothing is left to `read`."""
        last = self._files[-1]
        return self._read_file == last.index and self._read_at >= last.size

    def skip(self) -> None:
        """What was appended so far needn't be read: its writer has it in memory."""
        last = self._files[-1]
        self._read_file, self._read_at = last.index, last.size
        self._read_codes = {lane.code: lane for lane in self._by_code}
        self._read_numbers = {lane.code: lane.next for lane in self._by_code}

    def close(self) -> None:
        """Removes the files if the server has all their rows."""
        if self._fd < 0:
            return
        if self._syncer is not None:
            self._syncer.stop()
        is_empty = all(lane.stored == lane.next - 1 for lane in self._by_code)
        if not is_empty:
            os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        if is_empty:
            while self._files:
                self._files.popleft().path.unlink(missing_ok=True)
        self._lock_file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add_lane(self, name: str, first: int) -> SpoolLane:
        if len(self._by_code) >= _LANES_MAX:
            raise ValueError(f"got a kind of rows {name!r} beyond {_LANES_MAX}, expected fewer timeframes")
        lane = SpoolLane(name, len(self._by_code), first)
        self._by_code.append(lane)
        self.lanes[name] = lane
        return lane

    def _write(self, file: _File, kind: int, code: int, data: bytes) -> None:
        record = _HEAD.pack(len(data), zlib.crc32(data, kind << 8 | code), kind, code) + data
        try:
            written = os.write(self._fd, record)
            if written != len(record):
                raise OSError(f"spool {self.path}: only {written} of {len(record)} bytes could be written")
        except OSError:
            os.ftruncate(self._fd, file.size)
            os.lseek(self._fd, file.size, os.SEEK_SET)
            raise
        file.size += len(record)
        self.bytes += len(record)
        if self._syncer is not None:
            self._syncer.is_due = True

    def _tell_lane(self, file: _File, lane: SpoolLane) -> None:
        self._write(file, _LANE, lane.code, _NUMBER.pack(lane.next) + lane.name.encode())
        # Of one that has nothing but this, the next reader would take all before for stored.
        file.firsts[lane.code] = lane.next

    def _release(self, lane: SpoolLane) -> None:
        files = lane.files
        while files and files[0][1] <= lane.stored:
            files.popleft()[0].lanes.discard(lane.code)
        # Only the oldest: a later one says what of an earlier one is stored.
        while len(self._files) > 1 and not self._files[0].lanes:
            self._remove_first()
        last = self._files[-1]
        if len(self._files) == 1 and not last.lanes and last.size >= self._file_bytes // 4:
            self._begin_file()
            self._remove_first()

    def _remove_first(self) -> None:
        file = self._files.popleft()
        file.path.unlink(missing_ok=True)
        self.bytes -= file.size

    def _begin_file(self) -> _File:
        index = self._files[-1].index + 1 if self._files else 1
        path = self.path / f"{index:012d}.rows"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        os.write(fd, _MAGIC)
        if self._fd >= 0:
            os.fsync(self._fd)
            before, self._fd = self._fd, fd
            if self._syncer is not None:
                self._syncer.watch(fd)
            os.close(before)
        self._fd = fd
        _sync_folder(self.path)
        file = _File(path, index)
        file.size = len(_MAGIC)
        self.bytes += file.size
        self._files.append(file)
        return file

    def _scan(self) -> None:
        """Finds what the server may not have."""
        paths = sorted(self.path.glob("*.rows"))
        for path in paths:
            file = _File(path, int(path.stem))
            data = path.read_bytes()
            end = self._scan_file(file, data)
            if end < len(data):
                if path is not paths[-1]:
                    raise SpoolDamaged(
                        f"spool file {path}: byte {end} begins no whole record, and files follow; "
                        "expected one that was written whole. Move the folder away to go on without it"
                    )
                self.torn_bytes = len(data) - end
                os.truncate(path, end)
            file.size = end
            self.bytes += end
            self._files.append(file)
        for lane in self._by_code:
            lane.sent = deque(batch for batch in lane.sent if batch[0] + batch[1] - 1 > lane.stored)
            self._release_scanned(lane)
        while self._files and not self._files[0].lanes:
            self._remove_first()

    def _release_scanned(self, lane: SpoolLane) -> None:
        while lane.files and lane.files[0][1] <= lane.stored:
            lane.files.popleft()[0].lanes.discard(lane.code)

    def _scan_file(self, file: _File, data: bytes) -> int:
        """Returns where the last whole record ends."""
        if not data.startswith(_MAGIC):
            return 0
        end = len(_MAGIC)
        # Codes are those of this file's writer; names make them ours.
        codes: dict[int, SpoolLane] = {}
        for kind, code, start, stop in _records(data, end):
            if kind == _ROW:
                lane = codes[code]
                if lane.files and lane.files[-1][0] is file:
                    lane.files[-1][1] = lane.next
                else:
                    lane.files.append([file, lane.next])
                    file.lanes.add(lane.code)
                lane.next += 1
            elif kind == _LANE:
                (first,) = _NUMBER.unpack_from(data, start)
                name = data[start + _NUMBER.size : stop].decode()
                lane = self.lanes.get(name) or self._add_lane(name, first)
                lane.next = first
                codes[code] = lane
            elif kind == _SENT:
                first, count = _BATCH.unpack_from(data, start)
                codes[code].sent.append((first, count, data[start + _BATCH.size : stop].decode("ascii")))
            elif kind == _STORED:
                (codes[code].stored,) = _NUMBER.unpack_from(data, start)
            end = stop
        return end

    def _read_some(self, file: _File, count: int, rows: list[tuple[SpoolLane, int, bytes]]) -> None:
        with open(file.path, "rb") as source:
            source.seek(self._read_at)
            size = READ_BYTES
            data = source.read(min(size, file.size - self._read_at))
            # A record may be larger than what was read.
            while not _holds_record(data) and self._read_at + len(data) < file.size:
                size *= 2
                data += source.read(min(size, file.size - self._read_at - len(data)))
        if not _holds_record(data):
            raise SpoolDamaged(
                f"spool file {file.path}: byte {self._read_at} begins no whole record, as it did before"
            )
        base = self._read_at
        codes, numbers = self._read_codes, self._read_numbers
        for kind, code, start, stop in _records(data, 0):
            self._read_at = base + stop
            if kind == _LANE:
                (first,) = _NUMBER.unpack_from(data, start)
                codes[code] = lane = self.lanes[data[start + _NUMBER.size : stop].decode()]
                numbers[lane.code] = first
            elif kind == _ROW:
                lane = codes[code]
                number = numbers[lane.code]
                numbers[lane.code] = number + 1
                if number > lane.stored:
                    rows.append((lane, number, data[start:stop]))
                    if len(rows) >= count:
                        return

    def _read_from(self, index: int) -> None:
        self._read_file = index
        self._read_at = len(_MAGIC)
        self._read_codes = {}
        self._read_numbers = {}


def _records(data: bytes, at: int) -> Iterator[tuple[int, int, int, int]]:
    """Kind, lane, and where the content begins and ends, up to the first that isn't whole."""
    head, crc32, size = _HEAD.unpack_from, zlib.crc32, _HEAD.size
    end = len(data)
    view = memoryview(data)
    while at + size <= end:
        length, checksum, kind, code = head(data, at)
        start = at + size
        stop = start + length
        if stop > end or crc32(view[start:stop], kind << 8 | code) != checksum:
            return
        yield kind, code, start, stop
        at = stop


def _holds_record(data: bytes) -> bool:
    return next(_records(data, 0), None) is not None


def _sync_folder(path: Path) -> None:
    if os.name != "posix":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _lock(path: Path) -> IO[bytes]:
    """Holds the lock as long as the file is open: it ends with the process, however that ends."""
    file = open(path, "ab")
    deadline = time.monotonic() + LOCK_SECONDS
    while not _try_lock(file):
        if time.monotonic() > deadline:
            file.close()
            raise SpoolInUse(f"spool {path.parent}: another writer has it open, expected to be the only one")
        time.sleep(0.05)
    return file


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            locking: Any = msvcrt
            file.seek(0)
            locking.locking(file.fileno(), locking.LK_NBLCK, 1)
    except OSError:
        return False
    return True


class _Syncer:
    """Forces what was written to the disk now and then, beside the writer's own thread."""

    def __init__(self, seconds: float) -> None:
        self.is_due = False
        self._seconds = seconds
        self._fd = -1
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stock-db spool sync", daemon=True)
        self._thread.start()

    def watch(self, fd: int) -> None:
        with self._lock:
            self._fd = fd

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            if not self.is_due:
                continue
            self.is_due = False
            with self._lock:
                os.fsync(self._fd)
