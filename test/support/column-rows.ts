/** Random rows of any kind, and rows in a form in which equal values are equal. */
import type { Save } from "../../src/storage/contract.ts";
import { type KindName, kindOf, type SeriesRow, type SeriesValue } from "../../src/storage/model/kinds.ts";
import { randomAction } from "./action-rows.ts";

const STAMP_START_MS = Date.UTC(2019, 11, 30);
const DAY_MS = 86_400_000;
const SECOND_MS = 1_000;

export interface RandomSeries {
  kind: KindName;
  ticker: string;
  part: string | null;
  rows: number;
}

/** With gaps, holes, and counts that no double holds, ascending by stamp. */
export function randomSave(random: () => number, { kind, ticker, part, rows: count }: RandomSeries): Save {
  const { stamp, values, hasSeq } = kindOf(kind);
  let ms = STAMP_START_MS - Math.floor(random() * 50 * 365) * DAY_MS;
  let seq = 0;
  // Both in one batch are rare.
  const odd = random() < 0.4 ? fraction : random() < 0.5 ? wideCount : plainCount;
  const rows = Array.from({ length: count }, (): SeriesRow => {
    if (hasSeq && random() < 0.3) seq += 1 + Math.floor(random() * 3);
    else {
      ms += (1 + Math.floor(random() * 3)) * (stamp.type === "date" ? DAY_MS : SECOND_MS);
      seq = 0;
    }
    if (kind === "actions")
      return randomAction(random, stampText(ms, "date", random), { type: "split", place: seq });
    const cells = values.map(({ name, type }): SeriesValue => {
      if (random() < 0.1) return null;
      if (type === "date" || type === "instant") return stampText(ms + DAY_MS, type, random);
      if (type === "double") return randomPrice(random);
      if (type === "count") return odd(random);
      if (type === "json") return randomExtra(random);
      // The same id would be the same tick.
      return name === "id" ? `id ${++ids}` : `text ${Math.floor(random() * 9)}`;
    });
    return [stampText(ms, stamp.type, random), ...cells, ...(hasSeq ? [seq] : [])];
  });
  const micros = stamp.type === "instant" && hasSeq;
  if (micros) rows.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : Number(a.at(-1)) - Number(b.at(-1))));
  return { kind, ticker, part, rows, onDuplicate: "replace" } as Save;
}

let ids = 0;

/** As it is stored: a list of objects has blanks before its objects. */
export function randomExtra(random: () => number): string {
  const texts = ['{"x":"V"}', '{"c":["@","},{"],"n":12345678901234567890}', '{"o":[{"a":1},  {"b":"é\\n"}]}'];
  return texts[Math.floor(random() * texts.length)]!;
}

/** Counts as their digits, where they are whole. */
export function exactRow(kind: KindName, row: SeriesRow): SeriesValue[] {
  const { values } = kindOf(kind);
  return row.map((cell, index) => {
    if (cell === null || values[index - 1]?.type !== "count") return cell;
    const text = String(cell);
    if (/^-?\d+$/.test(text)) return text;
    const number = Number(text);
    return Number.isInteger(number) ? String(BigInt(number)) : String(number);
  });
}

function stampText(ms: number, type: string, random: () => number): string {
  const text = new Date(ms).toISOString().replace("T", " ");
  if (type === "date") return text.slice(0, 10);
  if (type === "second") return text.slice(0, 19);
  // Some share a stamp, and differ in their seq.
  const micros = random() < 0.5 ? 0 : Math.floor(random() * 4);
  return `${text.slice(0, 19)}.${String(micros).padStart(6, "0")}`;
}

function randomPrice(random: () => number): number {
  const price = Math.round(random() * 1e6) / 100;
  return random() < 0.1 ? -price / 3 : random() < 0.05 ? random() * 1e-300 : price;
}

function plainCount(random: () => number): number {
  return Math.floor(random() * 1e5) * (random() < 0.5 ? 100 : 1);
}

function wideCount(random: () => number): SeriesValue {
  const wide = ["9223372036854775807", "-9223372036854775808", "9007199254740993"];
  return wide[Math.floor(random() * 20)] ?? Math.floor((random() - 0.1) * 1e15);
}

function fraction(random: () => number): number {
  return [0.1, 1e-7, -2.5e-9, 2 ** 70, 1e22][Math.floor(random() * 20)] ?? Math.floor(random() * 1e9) / 1_000;
}
