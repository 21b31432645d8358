import { expect, test } from "bun:test";
import { join } from "node:path";
import { tempDir } from "../../../test/support/temp-dir.ts";
import { UsageError } from "../../config/usage-error.ts";
import { parseExportOptions } from "./options.ts";

const parse = (...argv: string[]) => parseExportOptions(["--format", "csv", "--to", "there", ...argv])!;
const kindsOf = (...argv: string[]) => parse(...argv).kinds.map(({ kind, parts }) => [kind, parts]);

function refusal(...argv: string[]): string {
  try {
    parseExportOptions(argv);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return "none";
}

test("kinds are named as people name them", () => {
  expect(kindsOf()).toContainEqual(["daily", null]);
  expect(kindsOf("--kind", "trades,daily")).toEqual([
    ["daily", null],
    ["ticks", ["trade"]],
  ]);
  expect(kindsOf("--kind", "5m", "--kind", "quote,trades,1week,ticks:a:b")).toEqual([
    ["ticks", ["a:b", "quote", "trade"]],
    ["interval", ["1week", "5min"]],
  ]);
  expect(kindsOf("--kind", "trades,ticks")).toEqual([["ticks", null]]);
  expect(kindsOf("--kind", "60min")).toEqual([["hourly", null]]);
  for (const wrong of ["weekly", "5", "daily:x", "ticks:", "constructor"])
    expect(refusal("--format", "csv", "--to", "x", "--kind", wrong)).toStartWith(
      `export: --kind "${wrong}": expected daily`,
    );
});

test("bounds are in each kind's form, and a day at the end is all of it", () => {
  const { kinds } = parse("--kind", "daily,trades", "--start", "2024-01-02T10:00", "--end", "2024-01-03");
  expect(kinds.map(({ from, to }) => [from, to])).toEqual([
    ["2024-01-02", "2024-01-03"],
    ["2024-01-02 10:00:00.000000", "2024-01-03 23:59:59.999999"],
  ]);
  expect(refusal("--format", "csv", "--to", "x", "--start", "soon")).toContain('--start "soon"');
});

test("the name of a file says its format, and that all rows are in it", () => {
  const of = (...argv: string[]) => {
    const { form, isOneFile } = parseExportOptions(["--kind", "daily", ...argv])!;
    return [form.format, form.packing, isOneFile];
  };
  expect(of("--to", "a.parquet")).toEqual(["parquet", null, true]);
  expect(of("--to", "A.CSV.GZ")).toEqual(["csv", "gz", true]);
  expect(of("--to", "a.ndjson.zst")).toEqual(["ndjson", "zst", true]);
  expect(of("--to", "a.arrows")).toEqual(["arrows", null, true]);
  expect(of("--to", "a", "--format", "csv.gz")).toEqual(["csv", "gz", false]);
  expect(of("--to", "-", "--format", "ndjson")).toEqual(["ndjson", null, true]);
  using dir = tempDir();
  expect(of("--to", dir.path, "--format", "csv")).toEqual(["csv", null, false]);
});

test("what can't be is refused before anything is read", () => {
  expect(refusal("--format", "csv")).toBe("export: expected --to DIR or --to FILE");
  expect(refusal("--to", "folder")).toStartWith('export: expected --format for "folder": csv, csv.gz,');
  expect(refusal("--to", "x", "--format", "xlsx")).toContain('--format "xlsx": expected csv');
  expect(refusal("--to", "x.parquet", "--format", "csv", "--kind", "daily")).toBe(
    'export: --format csv doesn\'t fit the name of "x.parquet"',
  );
  expect(refusal("--to", "all.csv")).toContain("one file has rows of one --kind");
  expect(refusal("--to", join("x", "y"), "--format", "csv", "--overwrite")).toContain(
    "--overwrite is for a FILE",
  );
  expect(refusal("--to", "x", "--format", "csv", "--from", "a.db", "--db-file", "b.db")).toContain(
    "got both",
  );
  expect(refusal("--to", "x", "--format", "csv", "--db-file", "a.txt")).toContain("export: --db-file");
  expect(refusal("--to", "x", "--format", "csv", "stray")).toContain("stray");
});
