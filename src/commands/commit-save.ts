import { RequestError, refusalOf } from "../protocol/errors.ts";
import type { JsonRecord } from "../protocol/json.ts";
import type { Save, SaveCounts, Stored } from "../storage/contract.ts";
import type { CommandCall, CommandContext } from "./context.ts";
import { identityOf } from "./request-identity.ts";

export interface PreparedSave<S> {
  save: S;
  /** The stored records, exactly as sent, for subscribers. */
  records: JsonRecord[];
  /** All records that were sent. */
  sent: number;
  /** Records without a stamp, which can't be stored. */
  skipped: number;
  /** Records of a key that another one of the request has: the save has that one. */
  doubled?: Pick<SaveCounts, "replaced" | "skipped">;
  /** The sender knows which of its ticks are equal: it needs no notice of repetitions. */
  areCounted?: boolean;
  /** What the client says that the request is; null: nothing. */
  identity: string | null;
}

/**
 * @returns The answer: the message, and what became of the records.
 * @throws RequestError 409 for keys taken with on_duplicate "error", 503 when the database refuses.
 */
export async function commitSave(
  prepared: PreparedSave<Save>,
  { frame, message }: { frame: string; message: string },
  call: CommandCall,
  context: CommandContext,
): Promise<string> {
  return JSON.stringify({ message, ...(await commit({ prepared, frame }, call, context)) });
}

/** What subscribers get is in `frame`. */
interface FramedSave {
  prepared: PreparedSave<Save>;
  frame: string;
}

export interface SavePart extends FramedSave {
  /** The request with the rows of this part. */
  call: CommandCall;
}

/**
 * Commits the parts of a request, each of which is a save of its own. The database may store them
 * in one transaction.
 * @returns The answer: the message, the counts of all parts, and those of each.
 * @throws RequestError as `commitSave`, naming the part and which others are stored.
 */
export async function commitParts(
  parts: readonly SavePart[],
  message: string,
  context: CommandContext,
): Promise<string> {
  const begun: Promise<CommitAnswer>[] = [];
  for (const part of parts) {
    const answer = commit(part, part.call, context);
    begun.push(answer);
    if (!context.savesInOrder) await answer.catch(() => null);
  }
  const settled = await Promise.allSettled(begun);
  const failed = settled.findIndex(({ status }) => status === "rejected");
  if (failed >= 0) throw partFailed(settled, failed);
  const answers = settled.map((each) => (each as PromiseFulfilledResult<CommitAnswer>).value);
  const sum = (name: keyof PartCounts): number => answers.reduce((all, each) => all + Number(each[name]), 0);
  return JSON.stringify({
    message,
    rows: sum("rows"),
    stored: sum("stored"),
    replaced: sum("replaced"),
    repeated: sum("repeated"),
    skipped: sum("skipped"),
    seq: answers.findLast(({ seq }) => seq !== null)?.seq ?? null,
    epoch: answers.at(-1)!.epoch,
    parts: answers.map(({ epoch: _, ...counts }) => counts),
  });
}

interface PartCounts {
  rows: number;
  stored: number;
  replaced: number;
  /** True: the request was stored before. */
  repeated: number | true;
  skipped: number;
}

interface CommitAnswer extends PartCounts {
  seq: number | null;
  epoch: string;
}

async function commit(
  { prepared, frame }: FramedSave,
  call: CommandCall,
  context: CommandContext,
): Promise<CommitAnswer> {
  const { save, skipped, sent, identity } = prepared;
  if (skipped > 0) context.warn(`Save of ${save.ticker}: ${skipped} rows without a stamp were left out`);
  const request = identity === null ? undefined : identityOf(identity, save);
  const outcome = await context.save(save, { frame, request }, call);
  if (!outcome.ok) throw refusalOf(outcome.status, outcome);
  if (!prepared.areCounted) noteRepetitions(save, outcome, context);
  const counts = outcome.countsRecords ? outcome : withUnsaved(outcome, prepared);
  const epoch = outcome.epoch ?? (await context.reader.updates.epoch());
  return {
    rows: sent,
    stored: counts.stored,
    replaced: counts.replaced ?? 0,
    repeated: outcome.isRepetition && request !== undefined ? true : (counts.repeated ?? 0),
    skipped: counts.skipped ?? 0,
    seq: outcome.position,
    epoch,
    ...(call.saveId === null ? {} : ofServer(outcome)),
  };
}

function partFailed(settled: PromiseSettledResult<unknown>[], failed: number): unknown {
  const { reason } = settled[failed] as PromiseRejectedResult;
  if (!(reason instanceof RequestError)) return reason;
  const stored = settled.flatMap(({ status }, index) => (status === "fulfilled" ? [index + 1] : []));
  const others = stored.length === 0 ? "none of the others is" : `of the others, ${stored.join(", ")} are`;
  const { details, hint, retryAfterS } = reason;
  return new RequestError(reason.status, `part ${failed + 1} of ${settled.length}: ${reason.message}`, {
    details: [details, `${others} stored`].filter((text) => text !== undefined).join("; "),
    hint,
    retryAfterS,
  });
}

/**
 * What only a server in front of this one is told. Those of earlier versions know the position by
 * this name.
 */
function ofServer({ position, isRepetition }: Stored) {
  return { position, ...(isRepetition ? { repetition: true } : {}) };
}

export function withUnsaved(
  outcome: Stored,
  { skipped, doubled = {} }: Pick<PreparedSave<Save>, "skipped" | "doubled">,
): SaveCounts {
  return {
    ...outcome,
    replaced: (outcome.replaced ?? 0) + (doubled.replaced ?? 0),
    skipped: (outcome.skipped ?? 0) + (doubled.skipped ?? 0) + skipped,
  };
}

/** An import tells itself how often a row comes. */
export function noteRepetitions(
  save: Save,
  { repeated = 0, isRepetition }: Stored,
  context: CommandContext,
): void {
  if (save.kind !== "ticks" || repeated === 0 || isRepetition || save.occurrences !== undefined) return;
  const withoutId =
    save.columns === undefined ? save.rows.filter(([, , , , , id]) => id === null) : save.rows;
  const count = Math.min(repeated, withoutId.length);
  if (count > 0) context.noteRepetitions({ ticker: save.ticker, type: save.part, count });
}
