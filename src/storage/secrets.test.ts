/** However a connection string is mistyped, its password is in no message. */
import { expect, test } from "bun:test";
import { holdsSecret, redact } from "../config/redact.ts";
import { printConfig } from "../config/render-settings.ts";
import { parseSettings } from "../config/settings.ts";
import { describeDatabase } from "./engines.ts";

const SECRET = "hunter2Xyz";
const WHOLE = [
  `postgresql://desk:${SECRET}@db.example:5432/stocks`,
  `postgres://desk:${SECRET}@h1:5432,h2:5433/stocks?sslmode=require`,
  `postgresql://db.example/stocks?user=desk&password=${SECRET}&sslmode=off`,
  `timescaledb://desk:${SECRET}@h/x`,
  `questdb://h:8812:qdb:desk:${SECRET}`,
  `h.example:5432:stocks:desk:${SECRET}`,
  `https://desk:${SECRET}@desk.example/path`,
  `https://${SECRET}@desk.example`,
  `nats://${SECRET}@broker:4222`,
  `redis://:${SECRET}@broker:6379/1`,
  `host=db user=desk password=${SECRET} dbname=x`,
  `host=db user=desk password='${SECRET}'`,
];
const EDGES = [":", "/", "@", ";", " ", ",", "#", "?", "=", "&", ".", "a", "\\", "'", "%40", "\n"];

/** Every way to leave out, double, replace or insert one thing outside of the password. */
function* mistyped(text: string): Generator<string> {
  const at = text.indexOf(SECRET);
  const isInside = (i: number): boolean => i > at && i < at + SECRET.length;
  for (let i = 0; i <= text.length; i++) {
    if (isInside(i)) continue;
    for (const edge of EDGES) yield text.slice(0, i) + edge + text.slice(i);
    if (i === text.length || i === at) continue;
    yield text.slice(0, i) + text.slice(i + 1);
    yield text.slice(0, i) + text[i] + text.slice(i);
    for (const edge of EDGES) yield text.slice(0, i) + edge + text.slice(i + 1);
    if (i + 1 < text.length && i + 1 !== at)
      yield text.slice(0, i) + text[i + 1] + text[i] + text.slice(i + 2);
  }
  yield text.toUpperCase().replace(SECRET.toUpperCase(), SECRET);
  yield text.replace("://", ":/");
  yield text.replace("://", "//");
  yield text.replace("://", ":");
  yield text.replace("://", "");
  yield text.slice(text.indexOf("://") + 3);
}

function told(argv: string[], env: Record<string, string> = {}): string {
  try {
    const parsed = parseSettings(argv, env);
    describeDatabase(parsed.settings.dbFile, parsed.sources.dbFile);
    return printConfig(parsed);
  } catch (error) {
    return String((error as Error).stack);
  }
}

/** One change took away all that told the password from a name: then nothing can. */
function hasNoTrace(text: string): boolean {
  return !/[:@=]/.test(text.replace(/^[a-z]+:\/\//i, "").replace(/:\d{1,5}(?=[/?#]|$)/g, ""));
}

const WAYS: ((text: string) => string)[] = [
  (text) => told(["--db-file", text]),
  (text) => told([`--db-file=${text}`]),
  (text) => told(["--bus", text]),
  (text) => told([], { STOCK_DB_DB_FILE: text }),
  (text) => told([], { STOCK_DB_BUS: text }),
  (text) => told([text]),
  (text) => told(["--port", text]),
  (text) => told(["--host", text]),
  (text) => told(["--log-level", text]),
  (text) => told([`--enable-access-log=${text}`]),
];

test("one slip anywhere, for every way to give a setting", () => {
  let tried = 0;
  const leaks: string[] = [];
  for (const whole of WHOLE) {
    for (const text of mistyped(whole)) {
      if (!text.includes(SECRET) || hasNoTrace(text)) continue;
      tried++;
      if (redact(text).includes(SECRET)) leaks.push(text);
      // All ways for each would take 20 s: three of the ten, in turn.
      for (let n = 0; n < 3; n++) {
        const message = WAYS[(tried + 3 * n) % WAYS.length]!(text);
        if (message.includes(SECRET)) leaks.push(`${text} → ${message.slice(0, 200)}`);
      }
    }
  }
  expect([...new Set(leaks)]).toEqual([]);
  expect(tried).toBeGreaterThan(10_000);
}, 120_000);

test("what is no secret is shown", () => {
  for (const text of [
    "data/stock_data.db",
    "/data/a:b=c.db",
    "./x=1.db",
    "localhost:8080",
    "[::1]:8080",
    "postgresql://db:5432/stocks",
    "postgresql://h1:5432,h2:5433/stocks?sslmode=require",
    "https://desk.example/path",
    "nats://broker:4222",
  ])
    expect([text, redact(text), holdsSecret(text)]).toEqual([text, text, false]);
  expect(told(["--port", "80:80"])).toContain("80:80");
});

test("a secret is told from a name", () => {
  for (const text of WHOLE) expect([text, holdsSecret(text)]).toEqual([text, true]);
  expect(holdsSecret("postgresql://desk@db/stocks")).toBe(false);
});
