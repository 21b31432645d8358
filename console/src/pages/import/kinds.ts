/** What both forms ask for, as `/v1` calls it. */
export const KINDS = [
  ["bars", "Bars"],
  ["trades", "Trades"],
  ["quotes", "Quotes"],
] as const;
