"""Moments and dates as the server reads them: from text, dates, datetimes, and stamps of numpy and pandas."""

from __future__ import annotations

import datetime as dt
import numbers
from typing import Any, Union

__all__ = ["Moment", "date_text", "moment", "zone_name"]

#: What `start` and `end` take: text, a date, a datetime with a zone, a stamp of pandas or numpy, or a
#: number since 1970, in a unit that its size tells.
Moment = Union[str, int, float, dt.date, dt.datetime, Any]

_EXPECTED = "expected text, a date, a datetime, a stamp of pandas or numpy, or a number since 1970"


def moment(name: str, value: Moment, zone: str | None) -> str | int | float:
    """For a parameter of a question. Raises `TypeError`, `ValueError`.

    A datetime without a zone is the wall clock of `zone`; without that it is refused, as nobody can
    know which moment is meant. A text without a zone is read by the server: in `zone`, else in UTC.
    """
    if isinstance(value, bool) or value is None:
        raise TypeError(f"{name}: got {value!r}, {_EXPECTED}")
    if isinstance(value, str):
        if not value.strip():
            raise ValueError(f"{name}: got an empty text, {_EXPECTED}")
        return value
    if _is_missing(value):
        raise ValueError(f"{name}: got {value!r}, {_EXPECTED}")
    if isinstance(value, dt.datetime):
        return _instant(name, value, zone)
    if isinstance(value, dt.date):
        return value.isoformat()
    if _is_numpy_stamp(value):
        text = str(value)
        if "T" not in text:
            # A day, a month or a year: the day at its beginning.
            return date_text(name, value)
        return _naive(name, text, value, zone)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{name}: got {type(value).__name__}, {_EXPECTED}")


def date_text(name: str, value: Any) -> str:
    """A calendar date, `2024-01-02`; of a datetime, its own date."""
    if isinstance(value, str):
        return value
    if isinstance(value, dt.datetime) and not _is_missing(value):
        return value.date().isoformat()
    if isinstance(value, dt.date) and not _is_missing(value):
        return value.isoformat()
    if _is_numpy_stamp(value) and not _is_missing(value):
        return str(value.astype("datetime64[D]"))
    raise TypeError(f"{name}: got {value!r}, expected a date")


def zone_name(name: str, value: str | dt.tzinfo | None) -> str | None:
    """The IANA name of a zone: `America/New_York`. Raises `TypeError`, `ValueError`."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, dt.tzinfo):
        raise TypeError(f"{name}: got {value!r}, expected the name of a zone, or a tzinfo")
    found = getattr(value, "key", None) or getattr(value, "zone", None)
    if isinstance(found, str):
        return found
    if value.utcoffset(None) == dt.timedelta(0):
        return "UTC"
    raise ValueError(f"{name}: got {value!r}, expected a zone with a name, such as America/New_York")


def _instant(name: str, value: dt.datetime, zone: str | None) -> str:
    if value.tzinfo is None or value.utcoffset() is None:
        # pandas prints nine digits where it has them.
        return _naive(name, value.isoformat(), value, zone)
    return value.astimezone(dt.timezone.utc).isoformat()


def _naive(name: str, text: str, value: object, zone: str | None) -> str:
    if zone is None:
        raise ValueError(
            f"{name}: got {value!r}, which has no zone; expected one, or the zone of its clock as tz=…"
        )
    return text


def _is_numpy_stamp(value: Any) -> bool:
    kind = type(value)
    return kind.__module__ == "numpy" and kind.__name__ == "datetime64"


def _is_missing(value: Any) -> bool:
    """NaT and NaN are unequal to themselves."""
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return False
