"""Writes src/calendar/exchanges/*.json anew, a year further. docs/calendars.md tells when and how.

    python3 -m venv /tmp/calendars
    /tmp/calendars/bin/pip install exchange_calendars pandas_market_calendars
    /tmp/calendars/bin/python scripts/renew-calendars.py --until 2028-12-31

Hours stay as they are in the files. A day whose session differs from them becomes a holiday, a late
open or an early close; what can't be written so ends the program, and nothing is written. So does
a change of a day that is over, unless --accept-past is given: look why it changed first.
"""

import argparse
import datetime
import importlib.metadata
import json
import pathlib
import sys
import zoneinfo

import exchange_calendars
import pandas
import pandas_market_calendars

FOLDER = pathlib.Path(__file__).parent.parent / "src" / "calendar" / "exchanges"
# The others are exchange_calendars' own, by their names.
MARKET_CALENDARS = {"CME_GLOBEX_EQUITY": "CME Globex Equity"}
ONE_DAY = datetime.timedelta(days=1)


def schedule(name, first, last):
    """The package it is from, and by date the UTC times of open, breaks and close."""
    if name in MARKET_CALENDARS:
        package, columns = "pandas_market_calendars", ["market_open", "market_close"]
        rows = pandas_market_calendars.get_calendar(MARKET_CALENDARS[name]).schedule(first, last)
    else:
        package, columns = "exchange_calendars", ["open", "break_start", "break_end", "close"]
        bound = exchange_calendars.get_calendar(name).bound_max()
        end = last if bound is None else min(last, bound.date().isoformat())
        rows = exchange_calendars.get_calendar(name, start=first, end=end).schedule
        last = end
    times = {
        day.date(): [at.to_pydatetime() for at in row if not pandas.isna(at)]
        for day, row in zip(rows.index, rows[columns].itertuples(index=False, name=None))
    }
    return package, last, times


def days_of(first, last):
    day = datetime.date.fromisoformat(first)
    while day <= datetime.date.fromisoformat(last):
        yield day
        day += ONE_DAY


def by_year(days, joins):
    """`MMDD` and, for three days and more with nothing but `joins` between them, `MMDD-MMDD`."""
    runs = []
    for day in sorted(days):
        before = runs[-1][-1] if runs else None
        between = [] if before is None else list(days_of(str(before), str(day)))[1:-1]
        if before is not None and before.year == day.year and all(map(joins, between)):
            runs[-1].append(day)
        else:
            runs.append([day])
    years = {}
    for run in runs:
        texts = [f"{day:%m%d}" for day in run]
        years.setdefault(str(run[0].year), []).extend(
            [f"{texts[0]}-{texts[-1]}"] if len(run) >= 3 else texts
        )
    return {year: " ".join(texts) for year, texts in years.items()}


def expand(listed):
    for year, text in listed.items():
        for part in text.split():
            first, _, last = part.partition("-")
            ends = [f"{year}-{end[:2]}-{end[2:]}" for end in (first, last or first)]
            yield from days_of(*ends)


def sessions_of(file):
    """As src/calendar/calendar.ts reads a file: by date the UTC times of open, breaks, close."""
    zone = zoneinfo.ZoneInfo(file["timeZone"])
    closed = set(expand(file["holidays"]))
    opens, closes = (
        {day: time for time, listed in file[kind].items() for day in expand(listed)}
        for kind in ("lateOpens", "earlyCloses")
    )

    def utc(day, time, shift=0):
        wall = datetime.datetime.combine(day, datetime.time.fromisoformat(time), zone)
        return (wall + shift * ONE_DAY).astimezone(datetime.timezone.utc)

    sessions = {}
    for day in days_of(*file["span"]):
        if day.isoweekday() not in file["weekdays"] or day in closed:
            continue
        hours = [entry for entry in file["regular"] if entry["from"] <= str(day)][-1]
        begin = utc(day, opens[day]) if day in opens else utc(day, hours["open"], hours.get("openDay", 0))
        end = utc(day, closes[day]) if day in closes else utc(day, hours["close"], hours.get("closeDay", 0))
        inner = [[utc(day, at) for at in pair] for pair in hours.get("breaks", [])]
        kept = [at for pair in inner if begin < pair[0] and pair[1] < end for at in pair]
        sessions[day] = [begin, *kept, end]
    return sessions


def renewed(old, until):
    package, last, times = schedule(old["exchange"], old["span"][0], until)
    weekdays = set(old["weekdays"])
    zone = zoneinfo.ZoneInfo(old["timeZone"])
    new = {**old, "span": [old["span"][0], last], "holidays": {}, "earlyCloses": {}, "lateOpens": {}}
    new["source"] = {
        **old["source"],
        "name": package,
        "version": importlib.metadata.version(package),
        "extracted": str(datetime.date.today()),
    }
    regular = sessions_of(new)
    new["holidays"] = by_year(regular.keys() - times.keys(), lambda day: day.isoweekday() not in weekdays)
    for kind, end in (("lateOpens", 0), ("earlyCloses", -1)):
        differ = {}
        for day in times.keys() & regular.keys():
            if times[day][end] != regular[day][end]:
                differ.setdefault(f"{times[day][end].astimezone(zone):%H:%M}", []).append(day)
        new[kind] = {time: by_year(differ[time], lambda day: False) for time in sorted(differ)}
    new["sessions"] = len(times)
    return new, times


def text_of(value, depth=0):
    """A member a line, also of lists of objects; the source is one line."""
    pad = " " * (depth + 1)
    if isinstance(value, dict) and value and "version" not in value:
        members = [f"{pad}{json.dumps(key)}: {text_of(each, depth + 1)}" for key, each in value.items()]
        return "{\n" + ",\n".join(members) + "\n" + " " * depth + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"{pad}{json.dumps(each)}" for each in value) + "\n" + " " * depth + "]"
    return json.dumps(value)


def changed_past(old, new):
    before, after = sessions_of(old), sessions_of(new)
    today = datetime.date.today()
    return [day for day in before.keys() | after.keys() if day < today and before.get(day) != after.get(day)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--until", default=f"{datetime.date.today().year + 1}-12-31")
    parser.add_argument("--accept-past", action="store_true")
    options = parser.parse_args()
    texts, wrong = {}, []
    for path in sorted(FOLDER.glob("*.json")):
        if path.name == "corrections.json":
            continue
        old = json.loads(path.read_text())
        new, times = renewed(old, options.until)
        if sessions_of(new) != times:
            days = [str(day) for day, at in times.items() if sessions_of(new).get(day) != at]
            wrong.append(f"{path.name}: other hours than its notation can say, such as on {days[:5]}")
        past = sorted(map(str, changed_past(old, new)))
        if past and not options.accept_past:
            wrong.append(f"{path.name}: {len(past)} days that are over have changed: {past[:10]}")
        print(f"{path.name}: {new['sessions']} sessions until {new['span'][1]}")
        texts[path] = text_of(new) + "\n"
    if wrong:
        sys.exit("\n".join(wrong))
    for path, text in texts.items():
        path.write_text(text)


main()
