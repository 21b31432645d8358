import { expect, test } from "bun:test";
import { takeOver } from "./reread-settings.ts";
import { DECLARATIONS, SETTING_NAMES, type TakeOver } from "./setting-table.ts";
import { parseSettings } from "./settings.ts";

const WAYS: TakeOver[] = ["at once", "by new workers"];
const read = (argv: string[]) => parseSettings(["--db-file", "a.db", ...argv], {});

function after(before: string[], now: string[], ways = WAYS) {
  const start = read(before).settings;
  return takeOver(read(now), { current: { ...start, port: 12345 }, start, ways });
}

test("what can be taken over is, in the unit of users; the rest is named and stays", () => {
  const { settings, taken, left } = after(
    ["--port", "0"],
    ["--port", "1", "--workers", "3", "--slow-request", "0.5", "--allow-origin", "https://a.example"],
  );
  expect(taken).toEqual(["--allow-origin none → https://a.example", "--slow-request 0 → 0.5"]);
  expect(left).toEqual(["--port", "--workers"]);
  expect([settings.port, settings.workers, settings.slowRequestMs]).toEqual([12345, 1, 500]);
});

test("one process takes over what needs no new workers", () => {
  const { taken, left } = after([], ["--read-only", "--ws-symbols-max", "5"], ["at once"]);
  expect([taken, left]).toEqual([["--read-only false → true"], ["--ws-symbols-max"]]);
});

test("a default that depends on what stays, stays too", () => {
  const { settings, taken, left } = after(
    ["--host", "0.0.0.0", "--insecure-no-auth"],
    ["--insecure-no-auth"],
  );
  expect([settings.host, settings.sql, taken, left]).toEqual(["0.0.0.0", "select", [], ["--host"]]);
});

test("TLS is neither begun nor ended; another certificate is taken", () => {
  const tls = ["--tls-cert", "a.crt", "--tls-key", "a.key"];
  expect(after([], tls)).toMatchObject({ taken: [], left: ["--tls-cert", "--tls-key"] });
  expect(after(tls, [])).toMatchObject({ taken: [], left: ["--tls-cert", "--tls-key"] });
  expect(after(tls, ["--tls-cert", "b.crt", "--tls-key", "b.key"]).taken).toHaveLength(2);
});

test("nothing is named where nothing has changed", () => {
  expect(after(["--port", "0"], ["--port", "0"])).toMatchObject({ taken: [], left: [] });
});

test("what has a secret in it is never taken over, and so never told", () => {
  for (const name of SETTING_NAMES) {
    const declaration: { redact?: unknown; takeOver?: TakeOver } = DECLARATIONS[name];
    if (declaration.redact !== undefined) expect([name, declaration.takeOver]).toEqual([name, undefined]);
  }
});
