/** Rows of many tickers are checked, and then stored: all together, or in parts. */
import { createHash } from "node:crypto";
import type { SaveSender } from "../../feeds/writer-counts.ts";
import type { SentTable } from "../../formats/sent-table.ts";
import { badRequest, RequestError, refusalOf } from "../../protocol/errors.ts";
import { hasColumns } from "../../storage/column-saves.ts";
import type { OnDuplicate, Save, SaveOutcome, SaveTicks, Stored, TickRow } from "../../storage/contract.ts";
import { rowsOfBatch } from "../../storage/model/columns.ts";
import { kindOf, seriesLabel } from "../../storage/model/kinds.ts";
import type { RequestIdentity } from "../../storage/update-contract.ts";
import { turn } from "../../time/pauses.ts";
import { noteRepetitions, type PreparedSave, withUnsaved } from "../commit-save.ts";
import type { CommandContext } from "../context.ts";
import { identityOf } from "../request-identity.ts";
import { StagedRecords } from "../staged-records.ts";
import { type ReadRows, type RowsRequest, readRows } from "./sent-rows.ts";
import { frameOf } from "./write-frames.ts";
import { ALONE_ROWS_MIN, type PartSeries, type WritePart, writeParts } from "./write-parts.ts";

/** Parts that are on their way to the database at once: it may store them in one transaction. */
const PARTS_UNDER_WAY_MAX = 10;

export interface WriteRequest extends RowsRequest {
  /** Of the kind of rows. */
  onDuplicate: Save["onDuplicate"];
  /** What the client says that the request is; null: nothing. */
  identity: string | null;
  /** A warning is an error, and nothing is stored. */
  isStrict: boolean;
  sender: SaveSender;
}

interface CountsOfRows {
  stored: number;
  replaced: number;
  repeated: number;
  skipped: number;
}

interface PartAnswer extends CountsOfRows {
  /** The first and the last, from 1. */
  rows: [first: number, last: number];
  symbols: string[];
  positions: Record<string, number>;
  repetition?: true;
}

/**
 * @returns the answer: counts of all, and of each part.
 * @throws RequestError 400 naming row, column and value, 409 a taken key, 503; where parts were
 *   stored before, it says which.
 */
export async function writeRows(
  sent: SentTable,
  request: WriteRequest,
  context: CommandContext,
): Promise<object> {
  const read = await readRows(sent, request);
  if (request.isStrict && read.warnings.length > 0) throw badRequest(read.warnings.join("; "));
  context.checkTickers?.(tickersOf(read));
  const done = await storeParts(read, request, context);
  const sum = (name: keyof CountsOfRows): number => done.reduce((all, { answer }) => all + answer[name], 0);
  return {
    rows: read.rows,
    stored: sum("stored"),
    replaced: sum("replaced"),
    repeated: sum("repeated"),
    skipped: sum("skipped"),
    ...(done.length > 0 && done.every(({ answer }) => answer.repetition) ? { repetition: true } : {}),
    epoch: done.at(-1)?.epoch ?? (await context.reader.updates.epoch()),
    positions: Object.assign({}, ...done.map(({ answer }) => answer.positions)),
    parts: done.map(({ answer }) => answer),
    ...(read.warnings.length === 0 ? {} : { warnings: read.warnings }),
  };
}

/** Of the rows: the dictionary of a categorical column may have others. */
function* tickersOf({ tickers: { codes, dictionary } }: ReadRows): Generator<string> {
  for (const code of new Set(codes)) yield dictionary[code]!;
}

interface DonePart {
  answer: PartAnswer;
  epoch: string | undefined;
}

/** In order; after one that failed no other begins. */
async function storeParts(
  read: ReadRows,
  request: WriteRequest,
  context: CommandContext,
): Promise<DonePart[]> {
  const begun: { part: WritePart; settled: Promise<PromiseSettledResult<DonePart>> }[] = [];
  let hasFailed = false;
  let columnsStored: Promise<unknown> = Promise.resolve();
  const areAlone = context.saveTogether === null;
  const underWay = context.savesInOrder ? PARTS_UNDER_WAY_MAX : 1;
  for (const part of writeParts(read, areAlone)) {
    const saves = await savesOf(part, { read, request });
    await begun[begun.length - underWay]?.settled;
    // The hub lets rows go before columns, which may be earlier ones of the same ticker.
    if (!saves.some(({ save }) => hasColumns(save))) await columnsStored;
    if (hasFailed) break;
    const settled = commitPart(part, saves, context, request.sender).then(
      (value) => ({ status: "fulfilled", value }) as const,
      (reason: unknown) => {
        hasFailed = true;
        return { status: "rejected", reason } as const;
      },
    );
    begun.push({ part, settled });
    if (saves.some(({ save }) => hasColumns(save))) columnsStored = settled;
    // To read and to encode its rows takes some 10 ms.
    await turn();
  }
  const results = await Promise.all(begun.map(({ settled }) => settled));
  const failed = results.findIndex(({ status }) => status === "rejected");
  if (failed >= 0)
    throw failure(
      begun.map(({ part }) => part),
      results,
      failed,
      read.rows,
    );
  return results.map((each) => (each as PromiseFulfilledResult<DonePart>).value);
}

interface SaveOfPart extends Pick<PreparedSave<Save>, "skipped" | "doubled"> {
  save: Save;
  frame: string;
  request: RequestIdentity | undefined;
}

async function savesOf(
  part: WritePart,
  { read, request }: { read: ReadRows; request: WriteRequest },
): Promise<SaveOfPart[]> {
  const saves: SaveOfPart[] = [];
  let rows = 0;
  for (const series of part.series) {
    const { save, doubled } = saveOf(series, { read, request, isAlone: part.series.length === 1 });
    const identity =
      request.identity === null ? undefined : identityOf(partIdentity(request.identity, part.index), save);
    rows += series.batch.rows;
    if (rows >= ALONE_ROWS_MIN) await turn();
    const frame = frameOf(request, series.ticker, series.batch);
    saves.push({ save, frame, request: identity, skipped: 0, ...(doubled === undefined ? {} : { doubled }) });
    if (rows >= ALONE_ROWS_MIN) {
      rows = 0;
      await turn();
    }
  }
  return saves;
}

/** Of the first part the client's own, so that it is the same as a command's. */
function partIdentity(text: string, index: number): string {
  if (index === 0) return text;
  return `${createHash("sha256").update(text).digest("base64url")}-${index + 1}`;
}

function saveOf(
  { ticker, batch, rowOf }: PartSeries,
  { read, request, isAlone }: { read: ReadRows; request: WriteRequest; isAlone: boolean },
): { save: Save; doubled?: PreparedSave<Save>["doubled"] } {
  const { kind, part } = request;
  if (kind === "ticks") {
    const onDuplicate = request.onDuplicate as SaveTicks["onDuplicate"];
    const head = { kind, ticker, part: part!, onDuplicate } as const;
    const goesAsColumns = isAlone && request.identity === null && batch.rows >= ALONE_ROWS_MIN;
    if (!goesAsColumns) return { save: { ...head, rows: rowsOfBatch(kind, batch) as TickRow[] } };
    const seq = batch.columns.get("seq") ?? {
      type: "int64" as const,
      values: new BigInt64Array(batch.rows),
      nulls: new Uint8Array(batch.rows).fill(1),
    };
    const columns = { rows: batch.rows, columns: new Map([...batch.columns, ["seq", seq]]) };
    return { save: { ...head, rows: new Array(batch.rows), columns } };
  }
  const onDuplicate = request.onDuplicate as OnDuplicate;
  const staged = new StagedRecords(onDuplicate, `${ticker} ${seriesLabel(kind, part)}`);
  const { values } = kindOf(kind);
  for (const [index, row] of rowsOfBatch(kind, batch).entries())
    staged.add(row, () =>
      values.flatMap(({ name, type }, at) => {
        const isMissing = type === "json" ? row[at + 1] === null : read.lacks(name, rowOf(index));
        return isMissing ? [at + 1] : [];
      }),
    );
  return {
    save: { kind, ticker, part, ...staged.rows(), onDuplicate },
    doubled: staged.doubled(batch.rows),
  };
}

async function commitPart(
  part: WritePart,
  saves: SaveOfPart[],
  context: CommandContext,
  sender: SaveSender,
): Promise<DonePart> {
  const [only] = saves;
  const outcomes =
    saves.length > 1 && context.saveTogether !== null
      ? await context.saveTogether(
          saves.map(({ save }) => save),
          saves.map(({ frame, request }) => ({ frame, request })),
          sender,
        )
      : [
          await context.save(
            only!.save,
            { frame: only!.frame, request: only!.request },
            { text: null, arrow: null, saveId: null, sender },
          ),
        ];
  const refused = outcomes.find((outcome) => !outcome.ok);
  if (refused?.ok === false) throw refusalOf(refused.status, refused);
  return donePart(part, saves, outcomes, context);
}

function donePart(
  { start, end, series }: WritePart,
  saves: readonly SaveOfPart[],
  outcomes: readonly SaveOutcome[],
  context: CommandContext,
): DonePart {
  const stored = outcomes as Stored[];
  const positions: Record<string, number> = {};
  const counts = { stored: 0, replaced: 0, repeated: 0, skipped: 0 };
  for (const [index, outcome] of stored.entries()) {
    const framed = saves[index]!;
    noteRepetitions(framed.save, outcome, context);
    if (outcome.position !== null) positions[framed.save.ticker] = outcome.position;
    const all = outcome.countsRecords ? outcome : withUnsaved(outcome, framed);
    counts.stored += all.stored;
    counts.replaced += all.replaced ?? 0;
    counts.repeated += all.repeated ?? 0;
    counts.skipped += all.skipped ?? 0;
  }
  const isRepetition = stored.every((outcome) => outcome.isRepetition);
  return {
    answer: {
      rows: [start + 1, end],
      symbols: series.map(({ ticker }) => ticker),
      ...counts,
      ...(isRepetition ? { repetition: true } : {}),
      positions,
    },
    epoch: stored.find(({ epoch }) => epoch !== undefined)?.epoch,
  };
}

/** Which part it was, and which others are stored. */
function failure(
  parts: readonly WritePart[],
  results: readonly PromiseSettledResult<unknown>[],
  failed: number,
  rows: number,
): unknown {
  const { reason } = results[failed] as PromiseRejectedResult;
  const { start, end, series } = parts[failed]!;
  const isAll = end - start === rows && series.reduce((sum, { batch }) => sum + batch.rows, 0) === rows;
  if (!(reason instanceof RequestError) || isAll) return reason;
  const stored = parts.filter((_, index) => results[index]?.status === "fulfilled");
  const told = stored.map((part) => spanOf(part)).join(", ");
  const others = stored.length === 0 ? "no other row is stored" : `rows ${told} are stored, and no others`;
  const { details, hint, retryAfterS } = reason;
  return new RequestError(reason.status, `rows ${spanOf(parts[failed]!)}: ${reason.message}`, {
    details: [details, others].filter((text) => text !== undefined).join("; "),
    hint,
    retryAfterS,
  });
}

/** Its ticker is named where other tickers have rows among these. */
function spanOf({ start, end, series }: WritePart): string {
  const own = series.reduce((sum, { batch }) => sum + batch.rows, 0);
  return `${start + 1} to ${end}${own < end - start ? ` of ${series[0]!.ticker}` : ""}`;
}
