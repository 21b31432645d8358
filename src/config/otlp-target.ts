/** Where traces are sent, and with which headers, as `--otlp-…` says. */
import { readFileSync } from "node:fs";
import { messageOf } from "../protocol/message-of.ts";
import { isLoopback } from "./setting-table.ts";
import type { Settings } from "./settings.ts";

export interface OtlpTarget {
  url: string;
  headers: Readonly<Record<string, string>>;
}

/** RFC 9110; a value of printable ASCII, which every server takes. */
const HEADER = /^([!#$%&'*+.^`|~\w-]+):[ \t]*([\x20-\x7e\t]*)$/;
/** These are the exporter's own. */
const TAKEN = [
  "content-type",
  "content-length",
  "content-encoding",
  "transfer-encoding",
  "host",
  "connection",
];

/** @returns null: no traces are sent. @throws Error, which doesn't show what the file holds. */
export function readOtlpTarget({
  otlpEndpoint,
  otlpHeadersFile,
}: Pick<Settings, "otlpEndpoint" | "otlpHeadersFile">): OtlpTarget | null {
  if (otlpEndpoint !== null)
    return { url: otlpEndpoint, headers: otlpHeadersFile === null ? {} : readHeaders(otlpHeadersFile) };
  if (otlpHeadersFile !== null) throw new Error("--otlp-headers-file: expected --otlp-endpoint beside it");
  return null;
}

/** What an operator should know of the target; null: nothing. */
export function otlpWarning({ url, headers }: OtlpTarget): string | null {
  const { protocol, hostname, host } = new URL(url);
  const isSafe = protocol === "https:" || isLoopback(hostname.replace(/^\[|\]$/g, ""));
  if (isSafe || Object.keys(headers).length === 0) return null;
  return `--otlp-endpoint: the headers of --otlp-headers-file go to ${host} without TLS`;
}

function readHeaders(path: string): Record<string, string> {
  const where = `--otlp-headers-file ${path}`;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`${where}: ${messageOf(error)}`);
  }
  const headers: Record<string, string> = {};
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "") continue;
    const [, name, value] = HEADER.exec(line.trim()) ?? [];
    const at = `${where}: line ${index + 1}`;
    if (name === undefined) throw new Error(`${at}: expected NAME: VALUE in printable ASCII`);
    if (TAKEN.includes(name.toLowerCase())) throw new Error(`${at}: ${name} is not for this file`);
    headers[name.toLowerCase()] = value!;
  }
  return headers;
}
