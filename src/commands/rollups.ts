/** set_rollup, remove_rollup and get_rollups: see docs/rollups.md. */
import { CalendarError } from "../calendar/contract.ts";
import { noteName } from "../market/rollup-note.ts";
import { stampOfMicros } from "../market/stamp-micros.ts";
import { TICKER_LENGTH_MAX } from "../market/ticker.ts";
import { toWire } from "../market/timestamp.ts";
import { badRequest, refusalOf } from "../protocol/errors.ts";
import {
  INTERVALS_MAX,
  type RollupRule,
  RULES_MAX,
  RULES_NOTE,
  readRules,
  seriesOf,
} from "../rollups/rules.ts";
import { readNote } from "../rollups/ticker-note.ts";
import type { Command, CommandCall, CommandContext } from "./context.ts";
import { readFlag, requireTickers, show } from "./params.ts";

/** Changes of the rules by others, in the way of one. */
const TRIES_MAX = 10;

export const setRollup: Command = {
  name: "set_rollup",
  scope: "write",
  about: "Keeps bars of some lengths up to date from the trades of the tickers of a pattern.",
  params: ["tickers", "intervals", "rebuild"],
  async run(call, context) {
    const tickers = readPattern(call.params.tickers);
    const intervals = readIntervals(call.params.intervals);
    const isRemade = readFlag(call.params, "rebuild");
    const rules = await changeRules(call, context, (before) => {
      const known = before.find((rule) => rule.tickers === tickers);
      // Above those of every rule, of those that are gone too: the highest one of a ticker counts.
      const later = Math.max(Date.now(), 1 + Math.max(0, ...before.map((rule) => rule.remade ?? 0)));
      const remade = isRemade ? later : (known?.remade ?? 0);
      const rule = { tickers, intervals, ...(remade === 0 ? {} : { remade }) };
      const others = before.filter((each) => each !== known);
      if (others.length === RULES_MAX)
        throw badRequest(`set_rollup: there are ${RULES_MAX} roll-ups already, which is the limit`);
      return [...others, rule];
    });
    return JSON.stringify({
      message: `${intervals.join(", ")} of ${tickers} are rolled up.`,
      rollups: shown(rules),
    });
  },
};

export const removeRollup: Command = {
  name: "remove_rollup",
  scope: "write",
  about: "Ends a roll-up; its bars stay as they are.",
  params: ["tickers"],
  async run(call, context) {
    const tickers = readPattern(call.params.tickers);
    const rules = await changeRules(call, context, (before) => {
      const others = before.filter((rule) => rule.tickers !== tickers);
      if (others.length < before.length) return others;
      const isOfSetting = tickers === "*" && (context.rollups ?? []).length > 0;
      const hint = isOfSetting ? "; those of --rollup end with the setting" : "";
      throw badRequest(
        `tickers: got ${show(tickers)}, expected the pattern of a roll-up that was set${hint}`,
      );
    });
    return JSON.stringify({ message: `${tickers} is rolled up no longer.`, rollups: shown(rules) });
  },
};

export const getRollups: Command = {
  name: "get_rollups",
  scope: "read",
  about: "The roll-ups there are, and how far those of the named tickers are.",
  params: ["tickers"],
  async run({ params }, context) {
    const { reader, rollups: ofSetting } = context;
    requireOwn(context, "get_rollups");
    const rules = readRules(await rulesText(context));
    const head = {
      rollups: [
        ...(ofSetting === null || ofSetting.length === 0
          ? []
          : [{ tickers: "*", intervals: ofSetting, by: "--rollup" }]),
        ...shown(rules),
      ],
    };
    if (params.tickers === undefined || params.tickers === null) return JSON.stringify(head);
    const progress: Record<string, unknown> = {};
    for (const { key, ticker } of requireTickers(params)) {
      const name = noteName(ticker ?? "");
      const [note] = await reader.notes(name, name, 1);
      progress[key] = progressOf(note?.[1] ?? null, ticker ?? "");
    }
    return JSON.stringify({ ...head, epoch: await reader.updates.epoch(), tickers: progress });
  },
};

function progressOf(text: string | null, ticker: string): unknown {
  const note = readNote(text, ticker);
  // After a renaming it tells of the positions of another ticker, until bars are made.
  if (note === null || note.ticker !== ticker) return null;
  const stampOf = (micros: number): string | null =>
    Number.isFinite(micros) ? toWire(stampOfMicros(micros)) : null;
  return {
    rolled_up_to: note.to,
    epoch: note.epoch,
    intervals: note.intervals.map((label) => label.split(" ")[0]),
    made_from: note.keptFrom === null ? null : stampOf(note.keptFrom),
    backlog: note.todo.map(({ from, until }) => [stampOf(from), stampOf(until)]),
  };
}

function shown(rules: readonly RollupRule[]): unknown[] {
  return rules.map(({ tickers, intervals }) => ({ tickers, intervals, by: "set_rollup" }));
}

async function rulesText({ reader }: CommandContext): Promise<string | null> {
  const [note] = await reader.notes(RULES_NOTE, RULES_NOTE, 1);
  return note?.[1] ?? null;
}

/** @throws RequestError what `change` throws, 503 others change them all the time. */
async function changeRules(
  call: CommandCall,
  context: CommandContext,
  change: (before: RollupRule[]) => RollupRule[],
): Promise<RollupRule[]> {
  requireOwn(context, call.params.intervals === undefined ? "remove_rollup" : "set_rollup");
  for (let tries = 1; ; tries++) {
    const from = await rulesText(context);
    const rules = change(readRules(from));
    const note = { name: RULES_NOTE, from, to: JSON.stringify(rules) };
    const rows = { kind: "hourly", ticker: RULES_NOTE, part: null, rows: [], onDuplicate: "rollup" } as const;
    const outcome = await context.save({ ...rows, rows: [], note }, { frame: "{}" }, call);
    if (outcome.ok) return rules;
    if (outcome.noteMoved !== true || tries === TRIES_MAX) throw refusalOf(outcome.status, outcome);
  }
}

function requireOwn({ rollups }: CommandContext, command: string): void {
  if (rollups === null)
    throw badRequest(`${command}: the server that has the database makes the roll-ups; ask that one`);
}

function readPattern(value: unknown): string {
  if (typeof value === "string" && value !== "" && value.length <= TICKER_LENGTH_MAX && value.isWellFormed())
    return value;
  throw badRequest(
    `tickers: got ${show(value)}, expected a ticker of 1 to ${TICKER_LENGTH_MAX} characters, in which * stands for any`,
  );
}

function readIntervals(value: unknown): string[] {
  const names = typeof value === "string" ? value.split(",") : value;
  if (!Array.isArray(names) || names.length === 0 || names.length > INTERVALS_MAX)
    throw badRequest(`intervals: got ${show(value)}, expected 1 to ${INTERVALS_MAX} lengths such as "1min"`);
  try {
    const series = names.map((name) => seriesOf(String(name)));
    return [...new Set(series.sort((a, b) => a.micros - b.micros).map(({ name }) => name))];
  } catch (error) {
    if (error instanceof CalendarError) throw badRequest(error.message);
    throw error;
  }
}
