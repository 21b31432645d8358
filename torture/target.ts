/** The attacker's hands: requests to a server, in which an answer of 500 is always a fault. */

import type { EngineName } from "../test/support/flags.ts";
import { randomNumbers } from "../test/support/random.ts";
import type { RunningServer } from "../test/support/server.ts";
import type { HttpAnswer, Target } from "./attack.ts";

/** An attacker that waits longer counts as not answered. */
const PATIENCE_MS = 90_000;
const SHOWN_CHARACTERS = 300;

export interface TargetOptions {
  engine: EngineName;
  workers: number;
  seconds: number;
  seed: number;
  complain(what: string): void;
}

export function aimAt(server: RunningServer, options: TargetOptions): Target {
  const { complain } = options;
  const ask = async (what: string, path: string, init: RequestInit): Promise<HttpAnswer> => {
    const answer = await fetch(`${server.url}${path}`, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) });
    const text = await answer.text();
    if (answer.status === 500) complain(`${what}: answered 500 ${text.slice(0, SHOWN_CHARACTERS)}`);
    return { status: answer.status, text, headers: answer.headers };
  };
  const target: Target = {
    ...options,
    server,
    port: server.port,
    url: server.url,
    random: randomNumbers(options.seed),
    post: (body, headers = {}) =>
      ask(String(body).slice(0, SHOWN_CHARACTERS), "/db_command", {
        method: "POST",
        headers: { "content-type": "application/json", connection: "close", ...headers },
        body,
      }),
    command: (command, params) => target.post(JSON.stringify({ command, params })),
    sql: (query_type, sql_query) => target.command("execute_sql", { sql_query, query_type }),
    get: (path, headers = {}) => ask(`GET ${path}`, path, { headers: { connection: "close", ...headers } }),
  };
  return target;
}
