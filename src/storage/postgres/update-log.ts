/**
 * Writes the update log, in the transaction that stores the rows: see ARCHITECTURE.md "Updates and
 * positions". The rows of `update_positions` stay locked until the commit, so positions are in the
 * order of commits.
 */
import { randomUUID } from "node:crypto";
import type { SaveOutcome, Stored } from "../contract.ts";
import { updateTypeOf } from "../model/kinds.ts";
import { packFrame } from "../packed-frames.ts";
import { countsText, type LoggedSave, mayBeLogged, repeatedOutcome } from "../save-counts.ts";
import type { LogEntry } from "../update-contract.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";

/** In UTF-16 units. A longer frame goes alone. */
const FRAMES_PER_STATEMENT = 16 * 2 ** 20;
/**
 * It separates the frames of a statement. An array would have to escape all their quotes, and no
 * JSON holds this character.
 */
const UNIT_SEPARATOR = "\u001f";
/** A repeated save was sent seconds ago, so the search goes back only so far. */
const REPEATED_AMONG = 10_000;

const NOW_MS = "(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint";
/**
 * The updates of one ticker get positions in the order of the batch. The clock is read once all
 * rows are locked.
 */
const LOG_SQL = `WITH saves AS (
    SELECT s.ticker, s.type, s.save_id, s.request_key, s.counts, coalesce(s.frame, '') AS frame, s.n,
      pg_catalog.row_number() OVER (PARTITION BY s.ticker ORDER BY s.n DESC) - 1 AS later
    FROM unnest($1::text[], $2::text[], $3::text[],
        pg_catalog.string_to_array($4::text, $5::text), $6::text[], $7::text[])
      WITH ORDINALITY AS s(ticker, type, save_id, frame, request_key, counts, n)
  ), moved AS (
    INSERT INTO update_positions AS p (ticker, seq, saved_at)
    SELECT ticker, pg_catalog.count(*), ${NOW_MS} FROM saves GROUP BY ticker ORDER BY ticker
    ON CONFLICT (ticker) DO UPDATE SET seq = p.seq + excluded.seq, saved_at = greatest(p.saved_at, ${NOW_MS})
    RETURNING ticker, seq, saved_at
  ), logged AS (
    INSERT INTO update_log (ticker, seq, type, saved_at, save_id, frame, request_key, counts)
    SELECT s.ticker, m.seq - s.later, s.type, (SELECT pg_catalog.max(saved_at) FROM moved), s.save_id,
      s.frame, s.request_key, s.counts
    FROM saves s JOIN moved m ON m.ticker = s.ticker ORDER BY s.n RETURNING seq
  )
  SELECT ticker, seq::float8 AS seq FROM moved`;
const REPEATED_SQL = `SELECT w.n::int AS n, f.seq::float8 AS position, f.counts
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(ticker, save_id, n)
  JOIN LATERAL (SELECT newest.seq, newest.counts FROM (
      SELECT l.seq, l.save_id, l.counts FROM update_log l
      WHERE l.ticker = w.ticker ORDER BY l.seq DESC LIMIT ${REPEATED_AMONG}
    ) newest WHERE newest.save_id = w.save_id LIMIT 1) f ON true`;
const REQUESTED_SQL = `SELECT w.n::int AS n, f.seq::float8 AS position, f.counts
  FROM unnest($1::text[]) WITH ORDINALITY AS w(request_key, n)
  JOIN LATERAL (
    SELECT l.seq, l.counts FROM update_log l WHERE l.request_key = w.request_key LIMIT 1) f ON true`;
const WITNESS_SQL =
  "SELECT 1 AS one FROM update_log WHERE ticker = $1 AND seq = $2::bigint AND save_id = $3::text";

/**
 * An update that tells whether its transaction was committed. A transaction's number doesn't: after
 * a crash, PostgreSQL gives it again.
 */
export interface Witness {
  ticker: string;
  seq: number;
  saveId: string;
}

export interface Logged {
  seqs: number[];
  witness: Witness;
}

/** @param saves not empty, with their outcomes; each becomes an update. */
export async function logUpdates(
  connection: PostgresConnection,
  saves: { save: LogEntry; outcome: Stored }[],
): Promise<Logged> {
  const entries = saves.map(entryOf);
  const seqs: number[] = [];
  // One round trip for all.
  const answers = await Promise.all(
    parts(entries).map(async (part) => {
      const separator = part.some(({ frame }) => frame.includes(UNIT_SEPARATOR))
        ? randomUUID()
        : UNIT_SEPARATOR;
      const rows = await connection.run<{ ticker: string; seq: number }>(LOG_SQL, [
        textArray(part.map((entry) => entry.ticker)),
        textArray(part.map((entry) => entry.type)),
        textArray(part.map((entry) => entry.saveId)),
        part.map((entry) => entry.frame).join(separator),
        separator,
        textArray(part.map((entry) => entry.requestKey)),
        textArray(part.map((entry) => entry.counts)),
      ]);
      return { part, rows };
    }),
  );
  for (const { part, rows } of answers) seqs.push(...positionsOf(part, rows));
  const { ticker, saveId } = entries.at(-1)!;
  return { seqs, witness: { ticker, seq: seqs.at(-1)!, saveId } };
}

type LoggedRow = LoggedSave & { n: number };

/** Returns the outcomes of saves that were committed before, by index. */
export async function findRepeated(
  connection: PostgresConnection,
  saves: readonly LogEntry[],
): Promise<Map<number, SaveOutcome>> {
  const asked = [...saves.entries()].filter(([, save]) => mayBeLogged(save));
  if (asked.length === 0) return new Map();
  const requested = asked.filter(([, { update }]) => update!.request !== undefined);
  const repeated = asked.filter(([, { update }]) => update!.repeated);
  const [ofRequests, ofSaves] = await Promise.all([
    requested.length === 0
      ? []
      : connection.run<LoggedRow>(REQUESTED_SQL, [
          textArray(requested.map(([, { update }]) => update!.request!.key)),
        ]),
    repeated.length === 0
      ? []
      : connection.run<LoggedRow>(REPEATED_SQL, [
          textArray(repeated.map(([, save]) => save.ticker)),
          textArray(repeated.map(([, save]) => save.update!.saveId)),
        ]),
  ]);
  const outcomes = new Map<number, SaveOutcome>();
  const note = (list: [number, LogEntry][], found: LoggedRow[]): void => {
    for (const { n, ...logged } of found) {
      const [index, save] = list[n - 1]!;
      outcomes.set(index, repeatedOutcome(save, logged));
    }
  };
  note(repeated, ofSaves);
  note(requested, ofRequests);
  return outcomes;
}

export async function isThere(
  connection: PostgresConnection,
  { ticker, seq, saveId }: Witness,
): Promise<boolean> {
  return (await connection.run(WITNESS_SQL, [ticker, seq, saveId])).length > 0;
}

interface Entry {
  ticker: string;
  type: string;
  saveId: string;
  requestKey: string | null;
  counts: string;
  frame: string;
}

function entryOf({ save, outcome }: { save: LogEntry; outcome: Stored }): Entry {
  const { ticker, update } = save;
  return {
    ticker,
    type: updateTypeOf(save),
    saveId: update?.saveId ?? randomUUID(),
    requestKey: update?.request?.key ?? null,
    counts: countsText(outcome, update?.request),
    frame: packFrame(update?.frame ?? ""),
  };
}

function parts(entries: Entry[]): Entry[][] {
  const found: Entry[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    size += entry.frame.length;
    if (size > FRAMES_PER_STATEMENT) {
      found.push([]);
      size = entry.frame.length;
    }
    found.at(-1)!.push(entry);
  }
  return found;
}

/** @param last the position of each ticker after its last entry. */
function positionsOf(entries: Entry[], last: { ticker: string; seq: number }[]): number[] {
  const later = new Map(last.map(({ ticker, seq }) => [ticker, seq]));
  const seqs: number[] = [];
  for (const { ticker } of entries.toReversed()) {
    const seq = later.get(ticker)!;
    seqs.push(seq);
    later.set(ticker, seq - 1);
  }
  return seqs.reverse();
}
