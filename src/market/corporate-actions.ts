/** What companies do to their shares that changes what a price means. */

export const ACTION_TYPES = ["split", "dividend", "spinoff", "symbol_change"] as const;
export type ActionType = (typeof ACTION_TYPES)[number];

/** Shares that an amount is paid for, where they are split on the same day. */
export const BASES = ["new", "old"] as const;
export type Basis = (typeof BASES)[number];

export interface CorporateAction {
  /** The first session without it, `YYYY-MM-DD`. */
  exDate: string;
  type: ActionType;
  /** Of a split: new shares for each old one; of a spin-off: its shares for each share. */
  ratio: number | null;
  /** Of a dividend: for each share; of a spin-off: what one of its shares is worth. */
  cash: number | null;
  /** Null: new. */
  basis: Basis | null;
  /** Of a symbol change: the name from then on; of a spin-off: its own. */
  newTicker: string | null;
}

/** So many actions of one type may have the same ex-date. */
export const PLACES = 1_000;

/**
 * Actions of one ticker and day are told apart by `seq`, and each type has a thousand of its own:
 * splits from 0, dividends from 1,000, and so on. So an action of one type never takes the place
 * of another's, and a day may have two dividends.
 */
export function firstSeqOf(type: ActionType): number {
  return ACTION_TYPES.indexOf(type) * PLACES;
}
