/**
 * Writes what a step has found, as saves and edits of which each changes the ticker's note and
 * relies on the one before. So nothing is written that rests on older trades than what is stored.
 */

import { ROLLUP_MARK } from "../market/rollup-mark.ts";
import { noteName } from "../market/rollup-note.ts";
import { toWire } from "../market/timestamp.ts";
import { barsFrame } from "../protocol/frames.ts";
import type { JsonRecord } from "../protocol/json.ts";
import type { NoteChange, SaveOutcome, SaveRefusal, SaveRows } from "../storage/contract.ts";
import { kindOf, type SeriesRow, type SeriesValue } from "../storage/model/kinds.ts";
import type { SeriesChange } from "./rebuild.ts";
import type { RollupDatabase } from "./rollup-database.ts";
import type { RollupSeries } from "./rules.ts";
import { noteText, type TickerNote } from "./ticker-note.ts";

/** Of one save, so that none holds up others for long. */
const SAVE_ROWS_MAX = 2_000;

export interface KeptNote {
  note: TickerNote;
  /** As it is stored; null: it isn't yet. */
  text: string | null;
}

/** Something was refused: what is stored has to be read again. */
export class RollupRefusedError extends Error {
  override name = "RollupRefusedError";
  /** Another process of a server has gone on with the ticker. */
  readonly isOvertaken: boolean;

  constructor({ error, details, noteMoved }: SaveRefusal) {
    super(details === undefined ? error : `${error} (${details})`);
    this.isOvertaken = noteMoved === true;
  }
}

export interface WriteOptions {
  ticker: string;
  changes: readonly SeriesChange[];
  before: KeptNote;
  /** What the note says when all is written. */
  after: Pick<TickerNote, "to" | "todo" | "intervals">;
  saveId(): string;
}

/** @throws RollupRefusedError */
export async function writeChanges(db: RollupDatabase, options: WriteOptions): Promise<KeptNote> {
  const { ticker, changes, before, after, saveId } = options;
  let kept = before;
  const next = (note: TickerNote): NoteChange => {
    const changed = { ...note, step: kept.note.step + 1 };
    const change = { name: noteName(ticker), from: kept.text, to: noteText(changed) };
    kept = { note: changed, text: change.to };
    return change;
  };
  for (const { series, gone } of changes) {
    for (const [from, to] of gone) {
      const note = next(kept.note);
      const identity = { saveId: saveId(), repeated: false };
      const rows = { kind: series.kind, ticker, part: series.part, from, to, ids: null, extra: ROLLUP_MARK };
      const outcome = await db.edit({ what: "removal", ...rows, dryRun: false, identity, note });
      if (!outcome.ok) throw new RollupRefusedError(outcome);
    }
  }
  const pieces = changes.flatMap(({ series, rows }) =>
    slicesOf(rows).map((slice) => ({ series, rows: slice })),
  );
  // What has no rows changes the note alone.
  if (pieces.length === 0) pieces.push({ series: changes[0]!.series, rows: [] });
  const saves: Promise<SaveOutcome>[] = [];
  for (const [index, { series, rows }] of pieces.entries()) {
    const note = next(index === pieces.length - 1 ? { ...kept.note, ...after } : kept.note);
    saves.push(db.save(saveOf({ ticker, series, rows, note, saveId })));
  }
  const settled = await Promise.allSettled(saves);
  for (const result of settled) {
    if (result.status === "rejected") throw result.reason;
    if (!result.value.ok) throw new RollupRefusedError(result.value);
  }
  return kept;
}

function saveOf({
  ticker,
  series,
  rows,
  note,
  saveId,
}: {
  ticker: string;
  series: RollupSeries;
  rows: SeriesRow[];
  note: NoteChange;
  saveId(): string;
}): SaveRows {
  const { kind, part } = series;
  const save: SaveRows = { kind, ticker, part, rows, onDuplicate: "rollup", note };
  if (rows.length === 0) return save;
  const frame = barsFrame(
    ticker,
    rows.map((row) => recordOf(series, row)),
    part,
  );
  return { ...save, update: { saveId: saveId(), repeated: false, frame } };
}

/** As a client would send it. */
function recordOf({ kind }: RollupSeries, [stamp, ...values]: SeriesRow): JsonRecord {
  const { stamp: column, values: columns } = kindOf(kind);
  const record: JsonRecord = { [column.name]: toWire(stamp) };
  for (const [index, { name, type }] of columns.entries())
    if (type !== "json") record[name] = numberOf(values[index] ?? null);
  return { ...record, rollup: true };
}

/** Text has the digits that no double holds. */
function numberOf(value: SeriesValue): unknown {
  return typeof value === "string" ? BigInt(value) : value;
}

function slicesOf(rows: SeriesRow[]): SeriesRow[][] {
  const slices: SeriesRow[][] = [];
  for (let at = 0; at < rows.length; at += SAVE_ROWS_MAX) slices.push(rows.slice(at, at + SAVE_ROWS_MAX));
  return slices;
}
