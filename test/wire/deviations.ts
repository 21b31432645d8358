/**
 * Every difference between this server and the recorded one that is meant, with its reason and with
 * what is right instead. A difference that isn't listed here fails the replay, and so does an entry
 * whose step is answered as recorded.
 *
 * What holds everywhere isn't listed step by step: numbers are compared by value; a recorded NaN or
 * Infinity is null; an error answer may have `details` and `hint` besides `error`; frames have
 * `seq` and `epoch` besides, and `index_col` where the name of a stamp isn't the usual one; what a
 * client sends that can't be understood is answered with an error frame, where it was ignored.
 */
import {
  asRecorded,
  closedWith,
  type Expectation,
  initialPrice,
  methodRefused,
  noBars,
  noTicks,
  outcome,
  recordedBut,
  refused,
  rows,
  sameCloseCode,
  saved,
  warned,
} from "./expectations.ts";
import { averagesOfWholeSeries } from "./whole-series.ts";

export interface BugRule {
  /** What was wrong, and what is right. */
  reason: string;
  /** For the steps with this bug that ANSWERS_DESPITE_BUGS doesn't name. */
  expect: Expectation;
}

/** What the recorded server does wrong, by the tag in the transcripts. */
export const BUG_RULES: Record<string, BugRule> = {
  "ask-dropped": {
    reason: "The ask side of a quote was dropped. It is stored.",
    expect: saved,
  },
  "bigint-400": {
    reason: "A number of thousands of digits made the body invalid. It is a number.",
    expect: warned(outcome({ status: 200, body: { ticker: "A", latest_price: null } })),
  },
  "broadcast-unsaved": {
    reason: "Records that weren't stored were broadcast, without stamps. What is broadcast is stored.",
    expect: asRecorded,
  },
  "client-error-500": {
    reason: "A client's mistake was answered with 500 and a library's text. It is 400.",
    expect: refused(400),
  },
  "dup-in-average": {
    reason: "A date sent twice in one save counted twice in the averages. The last row of a date counts.",
    expect: saved,
  },
  "dup-tick-500": {
    reason: "Ticks with one stamp in one save were refused. All are kept.",
    expect: saved,
  },
  "epoch-ns": {
    reason: "Numbers as stamps were nanoseconds, always. Their unit is told by their magnitude.",
    expect: saved,
  },
  "hourly-date-only-end": {
    reason: "A date as end excluded that day. It means the end of the day.",
    expect: asRecorded,
  },
  "http-errors-become-500": {
    reason: "Wrong methods and handshakes were answered with 500. They are 405 with Allow, 204, 426 or 400.",
    expect: methodRefused,
  },
  "int-truncates-history": {
    reason: "Closes sent as whole numbers cut the history to whole numbers. Averages are of doubles.",
    expect: saved,
  },
  "max-body-400": {
    reason: "A body beyond --max-body-mb was answered with 400. It is 413.",
    expect: outcome({ status: 413 }),
  },
  "max-body-ignored": {
    reason: "Bodies were limited to 1 MiB whatever --max-body-mb said. The flag counts.",
    expect: outcome({ status: 200, body: { ticker: "A", latest_price: 1.5 } }),
  },
  "missing-close-zero": {
    reason: "Bars without a close had averages of 0. They have none.",
    expect: saved,
  },
  "mixed-zones": {
    reason: "Stamps with different zones in one save were refused. Each is read by itself.",
    expect: saved,
  },
  "nan-json": { reason: "Answers and frames carried a bare NaN. It is null.", expect: asRecorded },
  "no-type-check": {
    reason: "Text was stored as a price. It is refused.",
    expect: refused(400),
  },
  "null-close-poisons": {
    reason: "After a missing close every later EMA of the save was null. Days without a close are skipped.",
    expect: saved,
  },
  "null-history-500": {
    reason: "A stored null made a later save fail. Only closes matter to averages.",
    expect: saved,
  },
  "null-stamp-row": {
    reason: "Ticks without a stamp were stored, and piled up unseen. They are left out.",
    expect: saved,
  },
  "offset-dropped": {
    reason: "The zone of a stamp was dropped. Stamps are brought to UTC.",
    expect: saved,
  },
  "on-duplicate-ignored": {
    reason:
      "on_duplicate took any word. Unknown ones are refused; `ignore` lets the newest bar win, as clients rely on.",
    expect: asRecorded,
  },
  "params-not-object-500": {
    reason: "params that are no object were answered with 500 in another shape. It is 400.",
    expect: refused(400),
  },
  "save-blocks-loop": {
    reason: "A large save stopped every other client for seconds. Its answer is the same.",
    expect: asRecorded,
  },
  "save-deletes-range": {
    reason: "A save deleted what was stored between its first and last stamp. It touches only its own keys.",
    expect: saved,
  },
  "saved-nothing": {
    reason:
      "Saves that stored nothing were answered with 200. They are refused, or stored where they can be.",
    expect: refused(400),
  },
  "sql-history-500": {
    reason: "Rows written by SQL made the next save fail. It works, and counts them.",
    expect: saved,
  },
  "stale-indicators": {
    reason: "Bars after a corrected one kept their averages. They are computed anew.",
    expect: saved,
  },
  "text-range-compare": {
    reason: "Bounds were compared as text. They are instants, in any form that a save accepts.",
    expect: refused(400, /start_date/),
  },
  "unknown-interval": {
    reason: 'Any interval but "daily" meant hourly. Others than those two are refused.',
    expect: refused(400, /interval/),
  },
  "ws-nonobject-closes": {
    reason: "JSON other than an object closed the socket. It is ignored, as an unknown object is.",
    expect: asRecorded,
  },
  "ws-unmasked-accepted": {
    reason: "A frame without mask was accepted. The connection is closed with 1002.",
    expect: closedWith(1002),
  },
};

/** What is right in steps with a bug whose rule doesn't say it all: mostly what is read back. */
export const ANSWERS_DESPITE_BUGS = new Map<string, Expectation>([
  ...each("bars 19 21", rows([["close"], [112], [115]])),
  ...each("bars 22", rows([["close"], [105], [108], [109], [110], [111], [112], [115]])),
  ...each("bars 25", rows([["close"], [112], [115]])),
  ...each("bars 73 133 135 137 279 284", noBars),
  ...each("bars 79", refused(400, /open/)),
  ...each("bars 80", noBars),
  ...each("bars 117 119 121", rows([["date"], ["2024-04-01T00:00:00.000000Z"]])),
  ...each("bars 122", saved),
  ...each("bars 151 153", rows([["close"], [5], [6]])),
  ...each("bars 221", rows([["close"], [3], [40], [5], [60], [7]])),
  ...each("bars 227", refused(400, /on_duplicate.*nonsense/)),
  ...each("bars 235", rows([["close"], [1], [2], [3]])),
  ...each("bars 236 238 241", rows([["close"], [1], [2], [3], [4]])),
  ...each("bars 239", rows([["close"], [1]])),
  ...each("bars 240", rows([["close"], [1], [2]])),
  ...each("bars 243", rows([["close"], [1], [2], [3]])),
  ...each("bars 247", rows([["datetime"], ["2024-01-02T08:00:00.000000Z"]])),
  ...each("bars 249 269", rows([["datetime"], ["2024-01-02T15:00:00.000000Z"]])),
  ...each("bars 265", rows([["datetime"], ["2024-01-02T10:00:00.000000Z"]])),
  ...each("bars 275", rows([["close"], [10], [2], [30], [4]])),

  ...each("ticks 4", recordedBut({ "body.data.ask_price": 150.2, "body.data.ask_size": 200 })),
  ...each(
    "ticks 8",
    rows([
      ["price", "ask_price", "ask_size"],
      [150.1, 150.2, 200],
      [150.3, null, null],
    ]),
  ),
  ...each("ticks 30", rows([["price"], [104], [105]])),
  ...each("ticks 31", rows([["price"], [105], [106], [107], [108], [109]])),
  ...each("ticks 32", rows([["price"], [100], [101]])),
  ...each("ticks 33", rows([["price"], [108], [109]])),
  ...each("ticks 35", rows([["size"], [1], [2], [3], [4], [5], [6], [7], [8], [9], [10]])),
  ...each("ticks 57", rows([["timestamp"], ["2024-01-02T08:00:00.000000Z"]])),
  ...each("ticks 59", rows([["timestamp"], ["2024-01-02T15:00:00.500000Z"]])),
  ...each("ticks 67", rows([["timestamp"], ["2024-01-02T10:00:00.123000Z"]])),
  ...each("ticks 69", rows([["timestamp"], ["2024-01-02T10:00:00.000000Z"]])),
  ...each("ticks 73", rows([["timestamp"], ["2024-01-02T10:00:00.500000Z"]])),
  ...each("ticks 74", saved),
  ...each("ticks 79 81 112 114 132", noTicks),
  ...each("ticks 115", saved),
  ...each(
    "ticks 116",
    rows([
      ["price", "size", "ask_price", "ask_size"],
      [1.5, 3, 1.6, 4],
    ]),
  ),
  ...each(
    "ticks 95",
    rows([["timestamp"], ["2024-01-02T10:00:00.000000Z"], ["2024-01-02T10:00:01.000000Z"]]),
  ),
  ...each("ticks 101", rows([["price"], [1.5], [3.5]])),
  ...each(
    "ticks 103",
    rows([
      ["n", "stamped"],
      [2, 2],
    ]),
  ),
  ...each("ticks 104", saved),
  ...each("ticks 105", rows([["timestamp"], ["2024-01-02T10:00:00.000000Z"]])),
  // Sizes of less than one are how coins are traded.
  ...each("ticks 133 134", asRecorded),
  ...each("ticks 154", rows([["price"], [1.5], [2.5]])),
  ...each("ticks 158", rows([["price"], [1.5], [2.5], [8.5], [9.5]])),
  ...each("ticks 162", rows([["price"], [1.5], [2.5], [8.5], [9.5], [7.5], [6.5]])),
  ...each("ticks 167 169", rows([["price"], [1.5], [2.5], [100.5], [3.5], [4.5], [300.5], [5.5]])),
  ...each("ticks 174", recordedBut({ "body.data.n": 8000, "body.data.v": 39_980 })),

  ...each("errors 146", outcome({ status: 200, body: { message: "Raw SQL query executed.", data: [] } })),

  // Bun refuses the target `*` before the server sees it.
  ...each("http 124", outcome({ status: 400 })),

  ...each("indicators 3", asRecorded),
  ...each("indicators 40 43 69 71 79 84 91 112", averagesOfWholeSeries),

  ...each("ws 15 17", saved),
  ...each(
    "ws 16",
    recordedBut({
      "frames[*].json.data.timestamp": "2024-01-02T10:00:05Z",
      "frames[*].json.data.payload.timestamp": "2024-01-02T10:00:05Z",
    }),
  ),
  ...each("ws 18", recordedBut({ "frames[*].json.data.timestamp": "2024-01-02T10:00:05Z" })),
  ...each("ws 48 51 54 57", outcome({ closed: false })),
  ...each("ws 81", outcome({ frames: [] })),
]);

const JSON_TYPE = "application/json; charset=utf-8";
const ENDPOINTS = [
  "/db_command (POST)",
  "/ws (WebSocket)",
  "/ws/replay (WebSocket)",
  "/v1/stream (GET, server-sent events)",
  "/v2/sip (WebSocket)",
  "/health (GET)",
  "/stats/database (GET)",
  "/stats/tables (GET)",
  "/stats/performance (GET)",
  "/metrics (GET)",
  "/stats/pool (GET)",
  "/api/execute_sql (GET)",
  ...["bars", "trades", "quotes"].map((name) => `/v1/${name} (GET, POST)`),
  ...["asof", "latest", "snapshots", "options"].map((name) => `/v1/${name} (GET)`),
  ...["corporate-actions", "tickers", "feeds", "sql"].map((name) => `/v1/${name} (GET)`),
  "/v1/connections (GET)",
  "/openapi.json (GET)",
  "/docs (GET)",
  "/console (GET)",
];
const QUARTERS = ["00.000", "00.250", "00.500", "00.750", "01.000"].map((s) => [`2024-01-02T09:40:${s}000Z`]);

export interface Deviation {
  /** Step ids. */
  steps: string[];
  reason: string;
  expect: Expectation;
}

/**
 * Where the recorded server did what it meant to, or only suffers from an earlier bug, and this one
 * differs.
 */
export const DEVIATIONS: Deviation[] = [
  {
    steps: ids("bars 5 6"),
    reason: "No bound means unbounded: a window of seven days hid stored data.",
    expect: rows([["close"], [100.5]]),
  },
  {
    steps: ids("bars 10"),
    reason: "No bound means unbounded.",
    expect: rows([["close"], [10], [11], [12], [13], [14]]),
  },
  {
    steps: ids("bars 234"),
    reason: "No bound means unbounded.",
    expect: rows([["close"], [1], [2], [3], [4]]),
  },
  {
    steps: ids("bars 24"),
    reason: "A bound that is no date is refused.",
    expect: refused(400, /end_date.*zzz/),
  },
  {
    steps: ids("ticks 12 41"),
    reason: "A misnamed parameter or type was ignored in silence. The answer tells of it.",
    expect: warned(asRecorded),
  },
  {
    steps: ids("ticks 13"),
    reason: "null is no type of data.",
    expect: refused(400, /data_type/),
  },
  {
    steps: ids("ticks 172"),
    reason: "Bounds are instants: the tick at the very end is within.",
    expect: rows([["timestamp"], ...QUARTERS]),
  },
  {
    steps: ids("other 28"),
    reason: "Financial figures were said to be saved, and weren't. They are.",
    expect: rows([
      ["ticker", "price", "market_cap"],
      ["A", null, null],
    ]),
  },
  {
    steps: ids("other 32"),
    reason: "Options were said to be saved, and weren't. They are.",
    expect: outcome({
      status: 200,
      body: { data: { price: null, bid: null, ask: null, day_close: null, fmv: null } },
    }),
  },
  {
    steps: ids("bars 123"),
    reason: "A text of digits is an epoch number, as the number is.",
    expect: rows([["date"], ["2024-04-01T00:00:00.000000Z"]]),
  },
  {
    steps: ids("ticks 75"),
    reason: "A text of digits is an epoch number, as the number is.",
    expect: rows([["timestamp"], ["2024-01-02T10:00:00.123000Z"]]),
  },
  {
    steps: ids("ticks 5"),
    reason: "The ask side of a quote is stored.",
    expect: recordedBut({ "body.data.ask_price": 150.2, "body.data.ask_size": 200 }),
  },
  {
    steps: ids("ticks 160"),
    reason: "A later tick with a taken stamp and other values is a tick of its own.",
    expect: rows([["price"], [1.5], [2.5], [8.5], [9.5], [7.5]]),
  },
  {
    steps: ids("ticks 164"),
    reason: "`replace` overwrites the tick of the same key, the first of its stamp, and leaves the others.",
    expect: rows([["price"], [5.5], [2.5], [8.5], [9.5], [7.5], [6.5]]),
  },
  {
    steps: ids("errors 145"),
    reason: "A ticker sent as true is stored under the name that the answer says, True, not 1.",
    expect: rows([["ticker"], ["1.5"], ["5"], ["A"], ["Ds"], ["True"]]),
  },
  {
    steps: ids("errors 147"),
    reason: "As above; and ticks without a stamp are left out.",
    expect: rows([["ticker"], ["1.5"], ["5"], ["A"], ["Dr"], ["True"]]),
  },
  {
    steps: ids("errors 154-156 161 162"),
    reason: "A web page can send these without asking the server first, so any page could run SQL here.",
    expect: refused(415, /application\/json/),
  },
  {
    steps: ids("errors 13"),
    reason: "A byte order mark before the JSON is no part of it: the object has no command.",
    expect: refused(400, /Missing 'command'/),
  },
  {
    steps: ids("bars 178 200 ticks 139"),
    reason: "A boolean is no price, size or volume.",
    expect: refused(400, /expected a number/),
  },
  {
    steps: ids("bars 179 201"),
    reason: "As above: nothing was stored.",
    expect: noBars,
  },
  {
    steps: ids("ticks 140"),
    reason: "As above: nothing was stored.",
    expect: noTicks,
  },
  {
    steps: ids("errors 21"),
    reason: "JSON is JSON, however deep.",
    expect: warned(outcome({ status: 200, body: { ticker: "A", latest_price: null } })),
  },
  {
    steps: ids("errors 153 http 1-5 9-11 24-28 106 110-112 136"),
    reason: "/health names the engine.",
    expect: recordedBut({ "body.database.db_type": "sqlite" }),
  },
  {
    steps: ids("http 6-8 12 48 49 51-66 69-74 109 113 123"),
    reason: "The list of endpoints is that of this server.",
    expect: recordedBut({ "body.available_endpoints": ENDPOINTS }),
  },
  {
    steps: ids("http 13 14 67"),
    reason: "Dots in a path are resolved, as every client does before it sends a path.",
    expect: outcome({ status: 200, content_type: JSON_TYPE }),
  },
  {
    steps: ids("http 68"),
    reason: "Dots in a path are resolved; and the list of endpoints is that of this server.",
    expect: recordedBut({
      "body.message": "Endpoint '/etc/passwd' not found",
      "body.available_endpoints": ENDPOINTS,
    }),
  },
  {
    steps: ids("http 21 47"),
    reason: "A wrong method is 405 and tells the right one, not 404.",
    expect: outcome({ status: 405, content_type: JSON_TYPE, allow: "POST, OPTIONS" }),
  },
  {
    steps: ids("http 76"),
    reason: "A wrong method is 405 and tells the right one, not 404.",
    expect: outcome({ status: 405, content_type: JSON_TYPE, allow: "GET, OPTIONS" }),
  },
  {
    steps: ids("http 103"),
    reason: "A wrong method is 405 and tells the right one, not 404.",
    expect: outcome({ status: 405, content_type: JSON_TYPE, allow: "GET, HEAD, OPTIONS" }),
  },
  {
    steps: ids("http 22 80-83 85 89 93 94 96 100 102"),
    reason: "SQLite has statistics too.",
    expect: outcome({ status: 200, content_type: JSON_TYPE }),
  },
  {
    steps: ids("http 92"),
    reason: "A time of NaN seconds is no time.",
    expect: outcome({ status: 400, body: { error: "Invalid timeout parameter" } }),
  },
  {
    steps: ids("http 114 118 119 121 127-130"),
    reason:
      "Malformed HTTP, a missing Host included, is refused by Bun before the server sees it, without a text.",
    expect: outcome({ status: 400, content_type: null }),
  },
  {
    steps: ids("http 120"),
    reason: "Bun closes the connection when the method isn't in capitals.",
    expect: outcome({ status: 0, connection_closes: true }),
  },
  {
    steps: ids("http 122 134"),
    reason: "Bun takes a request line that it can't read for another version of HTTP.",
    expect: outcome({ status: 505 }),
  },
  {
    steps: ids("http 125 126"),
    reason: "The line and the headers of a request may have 16 KiB together, not 8190 bytes each.",
    expect: outcome({ status: 404, content_type: JSON_TYPE }),
  },
  {
    steps: ids("http 117 131-133"),
    reason:
      "Without application/json a command is refused before its body is read; http.test.ts sends these with it.",
    expect: outcome({ status: 415, content_type: JSON_TYPE }),
  },
  {
    steps: ids("indicators 32 37 115"),
    reason: "Averages are those of the whole series, however it was saved, not of 400 days before each save.",
    expect: averagesOfWholeSeries,
  },
  {
    steps: ids("indicators 51-53 55"),
    reason: "Averages below 1 have 8 significant digits, so that those of small prices aren't 0.",
    expect: averagesOfWholeSeries,
  },
  {
    steps: ids("ws 2"),
    reason: "Heartbeats are UTC, and say so.",
    expect: recordedBut({ "heartbeat_example.data.timestamp": "2026-11-23T12:57:47.670Z" }),
  },
  {
    steps: ids("ws 82"),
    reason:
      "Frames aren't compressed: they are small, and compressing each for each subscriber costs more than it saves.",
    expect: recordedBut({ sec_websocket_extensions: null }),
  },
  {
    steps: ids("indicators 110"),
    reason: "Raw SQL that writes tells how many rows it changed.",
    expect: recordedBut({ "body.rows_changed": 8 }),
  },
  {
    steps: ids("indicators 113"),
    reason: "As above.",
    expect: recordedBut({ "body.rows_changed": 9 }),
  },
  {
    steps: ids("ws 23"),
    reason: "As above.",
    expect: recordedBut({ "body.rows_changed": 1 }),
  },
  {
    steps: ids("ws 28"),
    reason: "The newest quote beat a later trade of its day. On one date the newest by time counts.",
    expect: initialPrice("AAPL", 1),
  },
  {
    steps: ids("ws 87"),
    reason: "A trade is a price too.",
    expect: initialPrice("Z", 1.5),
  },
  {
    steps: ids("ws 89 91 94 98-101"),
    reason: "A close frame says why, and that of a client is answered with what it said.",
    expect: sameCloseCode,
  },
  {
    steps: ids("ws 92"),
    reason: "The code of a client's close frame is repeated.",
    expect: closedWith(4001),
  },
  {
    steps: ids("ws 93"),
    reason: "A close frame without a code is answered with one without a code.",
    expect: closedWith(1005),
  },
  {
    steps: ids("ws 73 78"),
    reason: "Stamps made by the server end in Z everywhere.",
    expect: recordedBut({
      "frames[*].json.data.timestamp": "2026-11-23T12:57:55.244Z",
      "frames[*].json.data.payload.timestamp": "2026-11-23T12:57:55.244Z",
    }),
  },
];

/** `bars 5 6 http 1-3` is bars-005, bars-006, http-001, http-002, http-003. */
function ids(text: string): string[] {
  let transcript = "";
  return text.split(" ").flatMap((word) => {
    if (!/^\d/.test(word)) {
      transcript = word;
      return [];
    }
    const [first = 0, last = first] = word.split("-").map(Number);
    return Array.from(
      { length: last - first + 1 },
      (_, i) => `${transcript}-${String(first + i).padStart(3, "0")}`,
    );
  });
}

function each(text: string, expect: Expectation): [string, Expectation][] {
  return ids(text).map((id) => [id, expect]);
}
