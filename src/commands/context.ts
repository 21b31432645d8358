import type { Scope } from "../access/scopes.ts";
import type { SaveSender } from "../feeds/writer-counts.ts";
import type { ArrowRows } from "../formats/arrow-rows.ts";
import type { SaveIdentity } from "../protocol/save-id.ts";
import type { SqlRequest } from "../sql/execute.ts";
import type { Edit, EditOutcome, Save, SaveOutcome, StockReader } from "../storage/contract.ts";
import type { SaveUpdate } from "../storage/update-contract.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";

/** The body of a 200 answer: JSON as text, bytes or a stream of bytes. */
export type Answer = string | Uint8Array | ReadableStream<Uint8Array>;

/** What a save tells subscribers, and the identity that its client gave it. */
type NewUpdate = Pick<SaveUpdate, "frame" | "request">;

/** @throws RequestError 403 */
export type CheckTickers = (tickers: Iterable<string>) => void;

export interface CommandContext {
  reader: StockReader;
  /** For what stores in parts, before the first. Null: the caller sees every ticker. */
  checkTickers: CheckTickers | null;
  /** Whose date is today; see readToday in params.ts. */
  marketTimezone: string;
  /** Whether saves that begin in one turn are committed in their order. */
  savesInOrder: boolean;
  /** The lengths of `--rollup`. Null: another server makes the roll-ups. */
  rollups: readonly string[] | null;
  /** Resolves when the save is committed and published to this worker's subscribers. */
  save(
    save: Save,
    update: NewUpdate,
    call: Pick<CommandCall, "arrow" | "saveId" | "sender"> & { text: string | null },
  ): Promise<SaveOutcome>;
  /**
   * Resolves as `save`, of saves that are stored together or not at all. Null: the database takes
   * each by itself.
   */
  saveTogether:
    | ((saves: readonly Save[], updates: readonly NewUpdate[], sender: SaveSender) => Promise<SaveOutcome[]>)
    | null;
  /** Resolves as `save`. Gives the edit its saveId. */
  edit(edit: Edit, call: CommandCall): Promise<EditOutcome>;
  /** Logs at WARNING. */
  warn(message: string): void;
  /** Ticks without an id were taken for repetitions; the log tells it, once a minute. */
  noteRepetitions(ticks: { ticker: string; type: string; count: number }): void;
  executeSql(request: SqlRequest): Promise<SqlAnswer>;
  /** Resolves when the ticker has no rows and updates. @param ticker See check-ticker.ts. */
  removeCheck(ticker: string): Promise<void>;
}

export interface CommandCall {
  params: Record<string, unknown>;
  /** The request as sent, with digits that parsed numbers may have lost. */
  text: string;
  /** Rows that came as an Arrow body; null: the request is JSON. Read by `withRecords`. */
  arrow: ArrowRows | null;
  /** From a server in front of this one. */
  saveId: SaveIdentity | null;
  /** The header of that name. */
  idempotencyKey: string | null;
  /** The answer gets it in its `warnings`; with `strict` it is an error. Null: none are wanted. */
  addWarning: ((text: string) => void) | null;
  /** Aborted when the client leaves. */
  signal: AbortSignal;
  client: string;
  sender: SaveSender;
  /** @throws RequestError 403 the client's key doesn't allow it. */
  demand(scope: Scope): void;
}

export interface Command {
  name: string;
  /** What a key has to allow. */
  scope: Scope;
  /** One sentence for the reference page. */
  about: string;
  /** The parameters in the table of docs/commands.md. */
  params: readonly string[];
  /** Its `data` may come as an Arrow body. */
  takesArrow?: true;
  /** Others that are no mistake: without effect, or for a server in front of this one. */
  tolerated?: readonly string[];
  run(call: CommandCall, context: CommandContext): Answer | Promise<Answer>;
}
