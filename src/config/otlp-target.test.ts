import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { otlpWarning, readOtlpTarget } from "./otlp-target.ts";

const url = "https://collector.example/v1/traces";

/** What a file with this text is read as. */
function headersOf(text: string): unknown {
  const folder = mkdtempSync(join(tmpdir(), "stock-db-test-"));
  const path = join(folder, "headers");
  writeFileSync(path, text);
  try {
    return readOtlpTarget({ otlpEndpoint: url, otlpHeadersFile: path })!.headers;
  } catch (error) {
    return (error as Error).message.replace(folder, "");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("headers stand a line each", () => {
  expect(readOtlpTarget({ otlpEndpoint: null, otlpHeadersFile: null })).toBeNull();
  expect(readOtlpTarget({ otlpEndpoint: url, otlpHeadersFile: null })).toEqual({ url, headers: {} });
  expect(headersOf("")).toEqual({});
  expect(headersOf("Authorization: Bearer a:b=\r\n\n  x-key:\tc  \n")).toEqual({
    authorization: "Bearer a:b=",
    "x-key": "c",
  });
});

test("what is no header is told by its line, without what it holds", () => {
  const where = "--otlp-headers-file /headers: line 2";
  for (const line of ["secret", "a secret: b", "a: secr\u00e9t", ": secret"])
    expect(headersOf(`a: b\n${line}`)).toBe(`${where}: expected NAME: VALUE in printable ASCII`);
  expect(headersOf("a: b\nContent-Length: 1")).toBe(`${where}: Content-Length is not for this file`);
});

test("headers that go over a network without TLS are worth a warning", () => {
  const headers = { authorization: "secret" };
  const warned = (to: string, sent = headers as Record<string, string>) =>
    otlpWarning({ url: to, headers: sent });
  expect(warned("http://collector:4318/v1/traces")).toContain("go to collector:4318 without TLS");
  expect(warned("http://collector:4318/v1/traces")).not.toContain("secret");
  expect(warned("http://collector:4318/v1/traces", {})).toBeNull();
  for (const safe of [url, "http://localhost:4318/v1/traces", "http://[::1]/v1/traces", "http://127.0.0.1/"])
    expect(warned(safe)).toBeNull();
});
