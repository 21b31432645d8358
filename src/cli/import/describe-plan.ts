/** Says what an import will do, before the first row is stored. */
import { quote, quoteStamp } from "../../market/csv.ts";
import { parseInterval } from "../../market/interval.ts";
import { kindOf } from "../../storage/model/kinds.ts";
import { listed } from "./doubt.ts";
import type { ActionSummary } from "./file-actions.ts";
import type { Layout } from "./layout.ts";
import type { Prepared } from "./prepare.ts";
import type { PreparedFile } from "./prepared-file.ts";
import { isRowKind } from "./row-columns.ts";

/** @param kind A length of bars or a type of ticks. */
export function nameOfKind(kind: string | null): string {
  if (kind === null) return "row";
  if (isRowKind(kind)) return kindOf(kind).label.replace(/s$/, "");
  return parseInterval(kind) === null ? kind : `${kind} bar`;
}

const LABEL_WIDTH = 9;

/** @returns lines, for people. */
export function describePlan({ files, empty, actions }: Prepared): string[] {
  const lines = byLayout(files).flatMap((group) => describeGroup(group));
  if (actions !== null) lines.push(...describeActions(actions.summary()));
  if (empty.length > 0) lines.push(`left out, as they have no rows: ${listed(empty)}`);
  return lines;
}

/** The same as members of an object. */
export function planMembers({ files, empty, actions }: Prepared): object {
  const layouts = byLayout(files).map((group) => {
    const { source, format, layout } = group[0]!;
    const { header, plan } = layout;
    return {
      files: group.map((file) => file.source.name),
      format,
      shape: header.shape?.name ?? null,
      header: header.inFile,
      kind: layout.kind,
      why: layout.kindWhy,
      ticker: describeTicker(group),
      time: { column: plan.stampColumns.join(" and "), form: layout.stamps.text, zone: layout.zoneText },
      columns: Object.fromEntries(
        [...plan.numbers, ...(plan.id === null ? [] : [plan.id])].map(({ name, column }) => [name, column]),
      ),
      kept: plan.extras.map(({ column }) => column),
      leftOut: plan.leftOut,
      decimal: layout.numbers.decimal,
      scale: layout.scale === null ? 1 : Number(`1e${layout.scale}`),
      bytes: source.bytesTotal,
    };
  });
  return { layouts, empty, actions: actions?.summary() ?? null };
}

function byLayout(files: readonly PreparedFile[]): PreparedFile[][] {
  const groups = new Map<Layout, PreparedFile[]>();
  for (const file of files) groups.set(file.layout, [...(groups.get(file.layout) ?? []), file]);
  return [...groups.values()];
}

function describeGroup(group: PreparedFile[]): string[] {
  const { source, format, layout } = group[0]!;
  const { header, plan, stamps } = layout;
  const more = group.length > 1 ? ` and ${group.length - 1} more` : "";
  const shape = header.shape === null ? "" : `; known as ${header.shape.name}`;
  const fields: [string, string][] = [
    ["rows", `${describeParts(group)}${layout.kindWhy === null ? ", as you say" : `: ${layout.kindWhy}`}`],
    ["ticker", describeTicker(group)],
    ["time", `${quoteStamp(plan)}${stamps.text === "" ? "" : `: ${stamps.text}`}`],
    ["zone", layout.zoneText],
    ["columns", describeColumns(layout)],
  ];
  if (plan.extras.length > 0)
    fields.push(["kept", `${names(plan.extras.map(({ column }) => column))}, as extra`]);
  const untaken = describeUntaken(layout);
  if (untaken !== "") fields.push(["actions", untaken]);
  if (plan.leftOut.length > 0) fields.push(["left out", names(plan.leftOut)]);
  const numbers = describeNumbers(layout);
  if (numbers !== "") fields.push(["numbers", numbers]);
  const noHeader = header.inFile || !format.startsWith("text") ? "" : ", no header";
  const title = `${source.name}${more}: ${format}${noHeader}${shape}`;
  return [title, ...fields.map(([label, text]) => `  ${label.padEnd(LABEL_WIDTH)}${text}`)];
}

const ADJUSTED_FOR: Record<ActionSummary["adjustedFor"], string> = {
  split: "they are adjusted for splits in the files, and stored as they were traded, volumes too",
  all: "they are adjusted for splits and dividends in the files, and stored as they were traded, volumes too",
  raw: "they are taken as they stand, as they were traded",
};

function describeActions(summary: ActionSummary): string[] {
  const { splits, dividends, tickers, adjustedFor, endsBefore, gains, paidLater } = summary;
  const of = `${tickers} ticker${tickers === 1 ? "" : "s"}`;
  const lines = [
    `actions: splits ${splits}, dividends ${dividends}, of ${of}`,
    `prices: ${ADJUSTED_FOR[adjustedFor]}`,
  ];
  if (endsBefore !== null && adjustedFor !== "raw") {
    const action = adjustedFor === "all" ? "split or dividend" : "split";
    lines.push(
      `doubt: rows end at ${endsBefore}. If there was a ${action} since then, the prices are adjusted for it too, and will be wrong: a file that reaches the present has it`,
    );
  }
  if (gains > 0) {
    const where = gains === 1 ? "1 row" : `${gains} rows`;
    lines.push(`doubt: "Capital Gains" of ${where} are kept as extra, and adjusted reads don't know them`);
  }
  if (paidLater > 0)
    lines.push(`doubt: the last "Adj Close" of ${paidLater} of ${of} says that more was paid after it`);
  return lines;
}

/** What `--actions` would take, where it isn't given. */
function describeUntaken({ actions, plan, header }: Layout): string {
  const { dividends, splits, adjustedClose } = actions;
  if (plan.kind !== "daily") return "";
  const indexes = [dividends, splits].flatMap((index) => index ?? []);
  const kept = indexes.filter((each) => plan.extras.some(({ index }) => index === each));
  if (kept.length > 0) {
    const columns = kept.map((index) => quote(header.names[index]!)).join(" and ");
    return `not taken from ${columns}, and prices stay as they are here: --actions auto takes them`;
  }
  if (indexes.length > 0 || adjustedClose === null) return "";
  const name = quote(header.names[adjustedClose]!);
  return `${name} alone tells none: --actions takes them from columns "Dividends" and "Stock Splits"`;
}

function describeParts(group: readonly PreparedFile[]): string {
  const parts = [...new Set(group.map(({ part }) => part))];
  if (parts.includes(null)) return "of each row's own type or interval";
  return listed(parts.map((part) => `${nameOfKind(part)}s`));
}

function describeColumns({ plan, header }: Layout): string {
  const { numbers, id, idParts } = plan;
  const columns = [...numbers, ...(id === null ? [] : [id])].map(({ name, column }) =>
    name === column ? name : `${name} = ${quote(column)}`,
  );
  if (idParts.length > 1) {
    columns.pop();
    columns.push(`id = ${idParts.map((index) => quote(header.names[index]!)).join(", ")} together`);
  }
  return columns.join(", ");
}

function describeNumbers({ numbers, numbersWhy, scale, scaleWhy }: Layout): string {
  const parts: string[] = [];
  if (numbersWhy !== null) parts.push(`decimal ${numbers.decimal}, ${numbersWhy}`);
  if (scale !== null) parts.push(`prices times 1e${scale}, ${scaleWhy}`);
  return parts.join("; ");
}

function describeTicker(group: readonly PreparedFile[]): string {
  const { layout, ticker, tickerInFile, tickersSeen } = group[0]!;
  if (ticker === null) {
    const column = layout.header.names[layout.tickerIndex!]!;
    const seen = [...new Set(group.flatMap((file) => file.tickersSeen))];
    const example = seen.length === 0 ? "" : `, such as ${listed(seen)}`;
    return `by column ${quote(column)}${example}${describeFaults(group)}`;
  }
  const tickers = [...new Set(group.map((file) => file.ticker!))];
  if (tickers.length > 1) return `by the files or their names: ${listed(tickers)}`;
  const blank = group.some(({ tickerFaults }) => tickerFaults.blank) ? ", also rows that name none" : "";
  if (tickerInFile === null || tickerInFile === ticker) return `${ticker}${blank}`;
  const column = layout.header.names[layout.tickerIndex!]!;
  return `${ticker}, for ${listed(tickersSeen)} of column ${quote(column)}${blank}`;
}

function describeFaults(group: readonly PreparedFile[]): string {
  const padded = group.some(({ tickerFaults }) => tickerFaults.padded);
  const blank = group.some(({ tickerFaults }) => tickerFaults.blank);
  const what = [
    ...(padded ? [", without the blanks around them"] : []),
    ...(blank ? ["; rows without one are bad rows"] : []),
  ];
  return what.join("");
}

function names(columns: readonly string[]): string {
  const named = columns.filter((column) => column !== "").map(quote);
  const unnamed = columns.length - named.length;
  if (unnamed > 0) named.push(unnamed === 1 ? "a column without a name" : `${unnamed} columns without names`);
  return named.join(", ");
}
