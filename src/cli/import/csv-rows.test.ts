import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { SourceRow } from "./csv-rows.ts";
import { openSource, type Source, SourceError } from "./source.ts";
import { openTable } from "./table.ts";

async function* readRows(source: Source, separator = ","): AsyncGenerator<SourceRow> {
  const { batches } = await openTable(source, { skipLines: 0, separator });
  for await (const rows of batches) yield* rows;
}

/** Standard input that hands out `size` bytes at a time. */
async function* inPieces(data: string | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(data);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function rowsOf(data: string | Uint8Array, size = 1): Promise<SourceRow[]> {
  return await Array.fromAsync(readRows(await openSource("-", inPieces(data, size))));
}

/** The rows before the failure, and the failure. */
async function readUntilFailure(
  data: string | Uint8Array,
  size = 1,
): Promise<{ rows: SourceRow[]; failure: unknown }> {
  const rows: SourceRow[] = [];
  try {
    for await (const row of readRows(await openSource("-", inPieces(data, size)))) rows.push(row);
  } catch (failure) {
    return { rows, failure };
  }
  throw new Error("expected a failure");
}

test("lines are counted through empty lines, quoted newlines and mixed line ends", async () => {
  const text = '\ufeffa,b\r\n1, 2 \n\n3,4,5\r\n"x\r\ny",2\n7,8';
  expect(await rowsOf(text)).toEqual([
    { line: 1, fields: ["a", "b"] },
    { line: 2, fields: ["1", " 2 "] },
    { line: 4, fields: ["3", "4", "5"] },
    { line: 5, fields: ["x\r\ny", "2"] },
    { line: 7, fields: ["7", "8"] },
  ]);
});

test("the separator is that of the file; a quoted field may have it", async () => {
  const source = await openSource("-", inPieces('a;b\n1,5;"2;3"\n', 1));
  expect(await Array.fromAsync(readRows(source, ";"))).toEqual([
    { line: 1, fields: ["a", "b"] },
    { line: 2, fields: ["1,5", "2;3"] },
  ]);
});

test("quotes are doubled inside of quotes, blanks around them don't count, blank rows are left out", async () => {
  expect(await rowsOf('a,b\n "x ""y""" , 2\n,,\n\n3,"4"')).toEqual([
    { line: 1, fields: ["a", "b"] },
    { line: 2, fields: ['x "y"', " 2"] },
    { line: 5, fields: ["3", "4"] },
  ]);
});

test("UTF-16 is read, as spreadsheets write it", async () => {
  const text = Buffer.from("\ufeffa,b\n1,ü\n", "utf16le");
  expect((await rowsOf(text, 3)).map(({ fields }) => fields)).toEqual([
    ["a", "b"],
    ["1", "ü"],
  ]);
});

test("text that isn't UTF-8 is windows-1252, and stays what it began with", async () => {
  expect((await rowsOf(Buffer.from("a,Eröffnung\n1,2\n", "latin1"), 100))[0]!.fields).toEqual([
    "a",
    "Eröffnung",
  ]);
  const later = Buffer.concat([Buffer.from(`a,b\n${"1,2\n".repeat(100)}`), Buffer.from("ö,2\n", "latin1")]);
  const { failure } = await readUntilFailure(later, 100);
  expect(String(failure)).toContain("expected text in utf-8; --encoding");
});

test("zstd and zip are known by their bytes, damaged ones are told", async () => {
  const packed = Bun.zstdCompressSync("a,b\n1,2\n");
  expect((await rowsOf(Buffer.concat([packed, Bun.zstdCompressSync("3,4\n")]), 5)).length).toBe(3);
  const long = Bun.zstdCompressSync(
    `a,b\n${Array.from({ length: 50_000 }, (_, i) => `${i},${i * 7}\n`).join("")}`,
  );
  const { failure } = await readUntilFailure(long.subarray(0, long.length - 20), 1_000);
  expect(String(failure)).toContain("cannot unpack standard input");
  for (const other of ["BZh91AY", "\u00fd7zXZ\u0000"]) {
    const wrong = rowsOf(Buffer.from(other, "latin1"));
    await expect(wrong).rejects.toThrow("expected gzip, zstd or zip");
  }
});

test("gzip is known by its bytes, also in several members and cut anywhere", async () => {
  const packed = Buffer.concat([gzipSync("a,b\n1,2\n"), gzipSync("3,4\n")]);
  for (const size of [1, 7, 1_000]) {
    expect((await rowsOf(packed, size)).map((row) => row.fields.join())).toEqual(["a,b", "1,2", "3,4"]);
  }
});

test("a file that is called .gz and isn't is read as it is, and its bytes are counted", async () => {
  const dir = await mkdtemp(join(tmpdir(), "stock-db-rows-"));
  try {
    const path = join(dir, "bars.csv.gz");
    await writeFile(path, "a,b\n1,2\n");
    const source = await openSource(path);
    expect((await Array.fromAsync(readRows(source))).length).toBe(2);
    expect([source.bytesRead(), source.bytesTotal]).toEqual([8, 8]);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("rows before wrong quotes are read, then their line is named", async () => {
  const wrongAfterQuote = await readUntilFailure('a,b\n1,2\n3,"4"5\n6,7\n');
  expect(wrongAfterQuote.rows.length).toBe(2);
  expect(wrongAfterQuote.failure).toBeInstanceOf(SourceError);
  expect(String(wrongAfterQuote.failure)).toContain("standard input:3: ");

  const neverClosed = await readUntilFailure('a,b\n1,2\n3,"4\n6,7\n');
  expect(neverClosed.rows.length).toBe(2);
  expect(String(neverClosed.failure)).toContain("standard input:3: ");
});

test("a quote inside of a field stays in it, for the reader of the field to refuse", async () => {
  expect((await rowsOf('a,b\n1,2"3\n4,5\n')).map((row) => row.fields)).toEqual([
    ["a", "b"],
    ["1", '2"3'],
    ["4", "5"],
  ]);
});

test("gzip that ends too early is told", async () => {
  const text = `a,b\n${"1,2\n".repeat(50_000)}`;
  const { failure } = await readUntilFailure(gzipSync(text).subarray(0, 60), 16);
  expect(failure).toBeInstanceOf(SourceError);
  expect(String(failure)).toContain("cannot unpack standard input");
});

test("a file that isn't there, and a folder, are told", async () => {
  await expect(openSource(join(tmpdir(), "no-such-file.csv"))).rejects.toThrow("no-such-file.csv");
  await expect(openSource(tmpdir())).rejects.toThrow("it is a folder");
});

test("whoever stops reading early leaves nothing running", async () => {
  let closed = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.from("1,2\n".repeat(1_000));
    } finally {
      closed = true;
    }
  }
  for await (const row of readRows(await openSource("-", endless()))) {
    if (row.line === 10) break;
  }
  while (!closed) await Bun.sleep(1);
});
