/** What an attack is, and what it may do to the server that it is let loose on. */

import type { EngineName } from "../test/support/flags.ts";
import type { RunningServer } from "../test/support/server.ts";

export interface Attack {
  /** In kebab case; unique. */
  name: string;
  /** One sentence: what the attacker does. */
  about: string;
  /** Default: all. */
  engines?: readonly EngineName[];
  /** Default: 1 and 3. */
  workers?: readonly number[];
  /**
   * It needs a server of its own, which it may leave in any state: with these flags beside the
   * usual ones.
   */
  ownServer?: { flags?: string[]; launcher?: (usual: string[]) => string[] };
  /** Why other clients may have to wait meanwhile. Without a reason they may not. */
  mayDelay?: string;
  /**
   * Why saves of other clients may be refused with 503 meanwhile. Without a reason they may not.
   */
  mayRefuse?: string;
  /**
   * Why SQL of other clients may be refused meanwhile, saves and reads not. Without a reason it may
   * not.
   */
  mayRefuseSql?: string;
  /**
   * Log lines that are expected and tell of no fault, though they are critical or of an end of a
   * process.
   */
  expects?: readonly RegExp[];
  run(target: Target): Promise<void>;
}

export interface HttpAnswer {
  status: number;
  text: string;
  headers: Headers;
}

export interface Target {
  readonly engine: EngineName;
  readonly workers: number;
  readonly server: RunningServer;
  readonly port: number;
  readonly url: string;
  /** Time of a storm. */
  readonly seconds: number;
  readonly random: () => number;
  /** Something that should not be: the attack has succeeded. */
  complain(what: string): void;
  /** POST /db_command with these bytes. Complains of a 500. */
  post(body: string | Uint8Array<ArrayBuffer>, headers?: Record<string, string>): Promise<HttpAnswer>;
  command(name: string, params: Record<string, unknown>): Promise<HttpAnswer>;
  sql(mode: "select" | "raw", text: string): Promise<HttpAnswer>;
  get(path: string, headers?: Record<string, string>): Promise<HttpAnswer>;
}

/** Complains unless the answer has one of these statuses. */
export function expectStatus(
  target: Target,
  what: string,
  answer: HttpAnswer,
  expected: readonly number[],
): void {
  if (expected.includes(answer.status)) return;
  target.complain(
    `${what}: got ${answer.status} ${answer.text.slice(0, 200)}, expected ${expected.join(" or ")}`,
  );
}

/** Resolves when each of the promises is settled, whatever became of them. */
export async function all(tries: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(tries);
}
