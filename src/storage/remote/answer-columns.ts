/** The rows of one answer, taken into a batch of columns as they come. */
import type { JsonRecord } from "../../protocol/json.ts";
import { BrokenAnswerError, NEXT_ROW, NEXT_ROW_LENGTH, parseRows } from "../answered-rows.ts";
import type { BatchCells } from "../column-cells.ts";
import { rowColumnNames } from "../model/columns.ts";
import { type KindName, kindOf, type SeriesRow } from "../model/kinds.ts";
import { RowParser } from "./row-parser.ts";
import { toRow, toSequencedRow } from "./wire-rows.ts";

const START_BYTES = 256 * 1024;
const ROWS_BEGIN = '{"data":[';
const ROWS_END = "]}";
const COMMA = 44;

export interface AnswerTarget {
  kind: KindName;
  batch: BatchCells;
  /** The columns of the batch. */
  names: readonly string[];
  /** Those of them that have one value in all rows. */
  series: Record<string, string>;
  /** Rows up to this one were taken before an answer broke off. */
  until: SeriesRow | null;
}

export class AnswerColumns {
  readonly #target: AnswerTarget;
  readonly #places: number[];
  #parser: RowParser | null = null;
  #until: SeriesRow | null;
  #bytes = Buffer.allocUnsafeSlow(START_BYTES);
  #at = 0;
  #end = 0;
  #isBegun = false;
  #isWhole = false;
  /** Where the newest row begins and ends. */
  #last = { start: 0, end: 0 };

  constructor(target: AnswerTarget) {
    this.#target = target;
    this.#until = target.until;
    this.#places = target.names.map((name) => rowColumnNames(target.kind).indexOf(name));
  }

  /** The newest row that was taken, by which the next answer is to go on; null without one. */
  get lastRow(): SeriesRow | null {
    const { start, end } = this.#last;
    return end === 0 ? this.#target.until : this.#rowOf(this.#recordAt(start, end));
  }

  push(piece: Uint8Array): void {
    if (this.#end + piece.length > this.#bytes.length) this.#makeRoom(piece.length);
    this.#bytes.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** Nothing more comes. */
  end(): void {
    this.#isWhole = true;
  }

  /**
   * As many rows as there is room for.
   *
   * @throws BrokenAnswerError the answer ended before its end. @throws TransferRowError
   */
  take(): void {
    if (!this.#begin()) return;
    const { batch, names, series } = this.#target;
    const first = batch.rows;
    while (batch.room > 0 && (this.#takeFast() || this.#takeJson())) {}
    for (const [index, cells] of batch.columns.entries())
      if (this.#places[index]! < 0) cells.fill(series[names[index]!]!, first, batch.rows);
  }

  #begin(): boolean {
    if (this.#isBegun) return true;
    if (this.#end < ROWS_BEGIN.length && !this.#isWhole) return false;
    if (this.#text(0, Math.min(this.#end, ROWS_BEGIN.length)) !== ROWS_BEGIN)
      throw new BrokenAnswerError("the answer doesn't begin as rows do");
    this.#at = ROWS_BEGIN.length;
    this.#isBegun = true;
    return true;
  }

  #takeFast(): boolean {
    if (this.#parser === null || this.#until !== null) return false;
    const start = this.#at + (this.#bytes[this.#at] === COMMA ? 1 : 0);
    const { batch } = this.#target;
    const end = this.#parser.read(this.#bytes, start, this.#end, batch);
    if (end < 0) return false;
    batch.rows++;
    this.#note(start, end);
    return true;
  }

  #takeJson(): boolean {
    const start = this.#at + (this.#bytes[this.#at] === COMMA ? 1 : 0);
    const end = this.#endOfRow(start);
    if (end < 0) return false;
    const { kind, names, batch, series } = this.#target;
    const record = this.#recordAt(start, end);
    const row = this.#rowOf(record);
    this.#parser ??= new RowParser(kind, record, names);
    if (this.#until === null || isAfter(kind, row, this.#until)) {
      this.#until = null;
      batch.add(this.#places.map((place, index) => (place < 0 ? series[names[index]!]! : row[place]!)));
      this.#note(start, end);
    } else this.#at = end;
    return true;
  }

  /** -1: it hasn't come whole, or there is none. */
  #endOfRow(start: number): number {
    const bytes = this.#bytes.subarray(0, this.#end);
    for (let at = bytes.indexOf("},", start); at >= 0; at = bytes.indexOf("},", at + 1))
      if (NEXT_ROW.test(this.#text(at + 1, at + 1 + NEXT_ROW_LENGTH))) return at + 1;
    if (!this.#isWhole) return -1;
    const end = this.#end - ROWS_END.length;
    if (end < this.#at || this.#text(end, this.#end) !== ROWS_END)
      throw new BrokenAnswerError("the answer broke off");
    return end > start ? end : -1;
  }

  #note(start: number, end: number): void {
    this.#last = { start, end };
    this.#at = end;
  }

  #recordAt(start: number, end: number): JsonRecord {
    return parseRows(this.#text(start, end))[0]!;
  }

  #rowOf(record: JsonRecord): SeriesRow {
    const { kind } = this.#target;
    return kindOf(kind).hasSeq ? toSequencedRow(kind, record) : toRow(kind, record);
  }

  #text(start: number, end: number): string {
    return this.#bytes.toString("utf8", start, end);
  }

  /** The newest row stays. */
  #makeRoom(more: number): void {
    const kept = this.#last.end === 0 ? this.#at : this.#last.start;
    const before = this.#bytes;
    if (this.#end - kept + more > before.length)
      this.#bytes = Buffer.allocUnsafeSlow(2 * (this.#end - kept + more));
    before.copy(this.#bytes, 0, kept, this.#end);
    this.#at -= kept;
    this.#end -= kept;
    if (this.#last.end > 0) this.#last = { start: 0, end: this.#last.end - kept };
  }
}

function isAfter(kind: KindName, row: SeriesRow, last: SeriesRow): boolean {
  if (row[0] !== last[0]) return row[0] > last[0];
  return kindOf(kind).hasSeq && row.at(-1)! > last.at(-1)!;
}
