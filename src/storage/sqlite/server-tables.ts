/** Which names in a SQLite file are the server's own. */

import { TABLE_NAMES } from "../model/kinds.ts";
import { CHECKPOINT_TRIGGERS, CHECKPOINTS_TABLE, UPDATE_LOG_TABLES } from "./schema.ts";

/** Rows of users: they may write them, but not change what the table is. */
const DATA: ReadonlySet<string> = new Set(TABLE_NAMES);
/** The server's bookkeeping, which only the server writes. */
const BOOKKEEPING: ReadonlySet<string> = new Set([CHECKPOINTS_TABLE, ...UPDATE_LOG_TABLES]);
const TRIGGERS: ReadonlySet<string> = new Set(Object.keys(CHECKPOINT_TRIGGERS));

/** @param name In any case of letters, as SQLite takes it. */
export function isServerTable(name: string): boolean {
  return DATA.has(name.toLowerCase()) || isBookkeeping(name);
}

export function isBookkeeping(name: string): boolean {
  return BOOKKEEPING.has(name.toLowerCase());
}

export function isServerTrigger(name: string): boolean {
  return TRIGGERS.has(name.toLowerCase());
}

/**
 * The tables of a virtual table `x` are named `x_…`: one of them would have the name of a server's
 * table.
 */
export function wouldOwnServerTable(name: string): boolean {
  const prefix = `${name.toLowerCase()}_`;
  return [...DATA, ...BOOKKEEPING].some((table) => table.startsWith(prefix));
}
