/** `export` as a process, and what it has written. */
import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { runCli } from "./run-cli.ts";

export const exportFrom = (from: string, to: string, ...flags: string[]) =>
  runCli(["export", "--quiet", "--from", from, "--to", to, ...flags]);

/** @returns the one JSON object of the end. */
export async function exported(from: string, to: string, ...flags: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await exportFrom(from, to, "--json", ...flags);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

/** Every file in the folder with its bytes, by its path there. */
export function filesIn(folder: string): Record<string, Buffer> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  );
  const paths = entries.map((each) => join(each.parentPath, each.name).slice(folder.length + 1)).sort();
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(folder, path))]));
}

/** Rows as DuckDB, which reads all of the formats but Arrow, finds them. */
export async function rowsByDuckDb(sql: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  const read = await connection.runAndReadAll(sql);
  connection.closeSync();
  instance.closeSync();
  return read.getRowObjectsJson();
}
