/** Rows that go to /v1 and come back from there. */
import { randomNumbers } from "./random.ts";
import type { Answer } from "./requests.ts";
import type { RunningServer } from "./server.ts";

export const FORMATS = ["json", "columns", "ndjson", "csv", "arrow", "parquet"] as const;

type PostedAnswer = Omit<Answer, "headers">;

export async function post(
  { url }: Pick<RunningServer, "url">,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<PostedAnswer> {
  const isBytes = typeof body === "string" || body instanceof Uint8Array;
  const answer = await fetch(url + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: (isBytes ? body : JSON.stringify(body)) as string,
  });
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

export const postCsv = (server: Pick<RunningServer, "url">, path: string, lines: string[], headers = {}) =>
  post(server, path, `${lines.join("\n")}\n`, { "Content-Type": "text/csv", ...headers });

export async function getText({ url }: Pick<RunningServer, "url">, path: string): Promise<string> {
  const answer = await fetch(url + path);
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
  return text;
}

/** Posts the answer to one question of a server to another one, as it came. */
export async function passOn(
  from: Pick<RunningServer, "url">,
  question: string,
  to: Pick<RunningServer, "url">,
  path: string,
): Promise<PostedAnswer> {
  const answer = await fetch(from.url + question);
  return post(to, path, await answer.bytes(), { "Content-Type": answer.headers.get("content-type")! });
}

/** Tickers, ids and members of all kinds; whole numbers beyond doubles, nulls, microseconds. */
export class RandomRows {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomNumbers(seed);
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)]!;
  }

  ticker(): string {
    return this.pick(["AAPL", "BRK.B", "A,B", 'q"uote', "日本", " blanks "]);
  }

  /** Few, so that ticks share them. */
  stamp(): string {
    const second = Math.floor(this.#random() * 40);
    const micros = this.pick([0, 1, 123_456, 999_999, 120_000]);
    const at = new Date(Date.UTC(2024, 0, 2, 15, 0, second)).toISOString().slice(0, 19);
    return `${at}.${String(micros).padStart(6, "0")}Z`;
  }

  price(): number | null {
    return this.pick([null, 0, 1.5, 0.1, 123_456.789, 1e-7, Math.round(this.#random() * 1e9) / 1e4]);
  }

  /** As JSON has it. */
  count(): string {
    return this.pick(["null", "0", "100", "9007199254740993", "9223372036854775807", "-5", "2.5"]);
  }

  id(): unknown {
    return this.pick([null, Math.floor(this.#random() * 1e9), `x-${this.#random()}`, "007", 'ü,"\n']);
  }

  members(): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    if (this.#random() < 0.7) found.exchange = this.pick(["V", "N", "1", ""]);
    if (this.#random() < 0.7) found.conditions = this.pick([["@"], ["@", "T"], [], "F", "12", [" ", "I"]]);
    if (this.#random() < 0.4) found.tape = this.pick(["A", "B", "C"]);
    if (this.#random() < 0.2) found.other = this.pick([1, "text", { a: [1, { b: null }] }, true, "}, {"]);
    return found;
  }
}
