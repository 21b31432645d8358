/** What a command may use: the reads of this worker, the hub, the SQL runners. */

import type { SaveIdentity } from "../protocol/save-id.ts";
import type { SqlRequest } from "../sql/execute.ts";
import type { Save, SaveOutcome, StockReader } from "../storage/contract.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";

/** A JSON text, its bytes, or a stream of them: the body of a 200 answer. */
export type Answer = string | Uint8Array | ReadableStream<Uint8Array>;

export interface CommandContext {
  reader: StockReader;
  /** Resolves when committed, and published to this worker's subscribers of the ticker. */
  save(save: Save, frame: string, call: CommandCall): Promise<SaveOutcome>;
  /** A line in the log at WARNING. */
  warn(message: string): void;
  executeSql(request: SqlRequest): Promise<SqlAnswer>;
  /**
   * Resolves when nothing of the ticker is left.
   *
   * @param ticker of a check, see market/check-ticker.ts.
   */
  removeCheck(ticker: string): Promise<void>;
}

export interface CommandCall {
  params: Record<string, unknown>;
  /** The request as sent, for what a parsed number has lost. */
  text: string;
  /** Given by a server in front of this one. */
  saveId: SaveIdentity | null;
  /** Aborted when the client has gone. */
  signal: AbortSignal;
  /** Address of the client. */
  client: string;
}

export interface Command {
  name: string;
  /** One sentence for the reference page. */
  about: string;
  run(call: CommandCall, context: CommandContext): Answer | Promise<Answer>;
}
