/** delete_ticks and delete_bars: see docs/delete.md. */
import { badRequest } from "../protocol/errors.ts";
import type { Removal } from "../storage/contract.ts";
import { ALL_PARTS } from "../storage/edits.ts";
import { type KindName, kindOf, partName, seriesLabel } from "../storage/model/kinds.ts";
import { commitEdit } from "./commit-edit.ts";
import type { Command } from "./context.ts";
import { readBound, readDataType, readFlag, requireInterval, requireTicker, show } from "./params.ts";
import { readId } from "./records.ts";
import { shownTicker } from "./shown-rows.ts";
import { warnOfType } from "./warnings.ts";

/** Of one command; more go in several. */
const DELETE_IDS_MAX = 10_000;

const COMMON = ["all", "dry_run", "save_id"];

export const deleteTicks: Command = {
  name: "delete_ticks",
  scope: "write",
  about: "Removes ticks of a type, or of all, within two inclusive bounds and of some ids.",
  params: ["ticker", "data_type", "start_datetime", "end_datetime", "ids", ...COMMON],
  async run(call, context) {
    const { params } = call;
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    if (params.data_type === undefined || params.data_type === null || params.data_type === "")
      throw badRequest(`Missing 'data_type': expected a type such as "trade", or "*" for all types`);
    const type = readDataType(params.data_type);
    const removal = removalOf(params, {
      kind: "ticks",
      ticker,
      part: type === ALL_PARTS ? null : type,
      ids: readIds(params.ids),
    });
    if (removal.part !== null) await warnOfType(call, context.reader, { ticker, type });
    const message = (rows: string, done: string) =>
      `${rows} of ${type === ALL_PARTS ? "ticks" : `${type} ticks`} of ${shownTicker(params.ticker)} ${done} removed.`;
    return commitEdit({ command: "delete_ticks", edit: removal, counted: "removed", message }, call, context);
  },
};

export const deleteBars: Command = {
  name: "delete_bars",
  scope: "write",
  about: "Removes bars of one length within two inclusive bounds.",
  params: ["ticker", "interval", "start_date", "end_date", ...COMMON],
  async run(call, context) {
    const { params } = call;
    const ticker = requireTicker(params.ticker, "Missing 'ticker'");
    if (params.interval === undefined)
      throw badRequest(`Missing 'interval': expected the length of the bars, such as "daily" or "1min"`);
    const { kind, part } = requireInterval(params.interval);
    const removal = removalOf(params, { kind, ticker, part, ids: null });
    const label = part === null ? seriesLabel(kind, part) : `${partName(kind, part)} bars`;
    const message = (rows: string, done: string) =>
      `${rows} of ${label} of ${shownTicker(params.ticker)} ${done} removed.`;
    return commitEdit({ command: "delete_bars", edit: removal, counted: "removed", message }, call, context);
  },
};

/** @throws RequestError 400 nothing says which rows, and `all` doesn't either. */
function removalOf(
  params: Record<string, unknown>,
  of: Pick<Removal, "ticker" | "part" | "ids"> & { kind: KindName },
): Removal {
  const { stamp, wire } = kindOf(of.kind);
  const from = readBound(params, wire.from, "start", stamp.type);
  const to = readBound(params, wire.to, "end", stamp.type);
  const isBounded = from !== null || to !== null || of.ids !== null;
  const bounds = `${wire.from}, ${wire.to}${of.kind === "ticks" ? " or ids" : ""}`;
  const all = readFlag(params, "all");
  if (!isBounded && !all)
    throw badRequest(`Missing ${bounds}: without them, only "all": true removes all rows of the series`);
  if (isBounded && all) throw badRequest(`all: got true beside ${bounds}, expected one or the other`);
  return { what: "removal", ...of, from, to };
}

/** @throws RequestError 400 */
function readIds(value: unknown): string[] | null {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value) || value.length === 0 || value.length > DELETE_IDS_MAX)
    throw badRequest(
      `ids: got ${Array.isArray(value) ? `${value.length} ids` : show(value)}, expected a list of 1 to ${DELETE_IDS_MAX} ids`,
    );
  return [
    ...new Set(
      value.map((each, index) => {
        const id = readId(each, `ids[${index}]`);
        if (id !== null) return id;
        throw badRequest(`ids[${index}]: got ${show(each)}, expected an id`);
      }),
    ),
  ];
}
