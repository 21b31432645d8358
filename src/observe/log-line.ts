import type { LogLevel } from "../config/settings.ts";
import { ATOMIC_PIPE_BYTES } from "./standard-output.ts";

/** A longer line is cut, so that each is written in one piece. */
export const LINE_BYTES_MAX = ATOMIC_PIPE_BYTES;

/**
 * `2024-01-20T10:30:45.123 [PID:1234] [Worker-0] [INFO] - message` and a line end; time in UTC.
 * Only workers have `[Worker-N]`.
 */
export function formatLine(level: LogLevel, worker: number | null, message: string): string {
  const time = new Date().toISOString().slice(0, -1);
  const who = worker === null ? "" : ` [Worker-${worker}]`;
  return cut(`${time} [PID:${process.pid}]${who} [${level}] - ${escapeControls(message)}`);
}

/** The same as a JSON object: `time`, `level`, `pid`, of a worker `worker`, and `message`. */
export function jsonLine(level: LogLevel, worker: number | null, message: string): string {
  const of = worker === null ? {} : { worker };
  const lineOf = (text: string): string =>
    `${JSON.stringify({ time: new Date().toISOString(), level, pid: process.pid, ...of, message: text })}\n`;
  const line = lineOf(message);
  const bytes = Buffer.byteLength(line);
  if (bytes <= LINE_BYTES_MAX) return line;
  // Cut in half until it fits: such a message is rare, and each character may take six bytes.
  for (let length = LINE_BYTES_MAX; ; length = Math.floor(length / 2)) {
    const short = lineOf(`${message.slice(0, length)}… (${bytes} bytes)`);
    if (Buffer.byteLength(short) <= LINE_BYTES_MAX) return short;
  }
}

/**
 * Characters that could fake a line, reorder or hide words, or move a terminal's cursor: C0 and C1
 * controls, DEL, Unicode's line ends, direction marks, characters without width.
 */
const CONTROLS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  /[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export function escapeControls(text: string): string {
  return text.replace(CONTROLS, (char) => SHORT[char] ?? escapeCode(char.codePointAt(0)!));
}

function escapeCode(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  const digits = code.toString(16).padStart(4, "0");
  return code > 0xffff ? `\\u{${digits}}` : `\\u${digits}`;
}

function cut(line: string): string {
  // A UTF-16 unit has three bytes at most: most lines need no count.
  if (line.length * 3 < LINE_BYTES_MAX) return `${line}\n`;
  const bytes = Buffer.from(line);
  if (bytes.length < LINE_BYTES_MAX) return `${line}\n`;
  const mark = `… (${bytes.length} bytes)\n`;
  // A cut inside a character leaves U+FFFD, which has three bytes.
  let end = LINE_BYTES_MAX - Buffer.byteLength(mark);
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end) + mark;
}
