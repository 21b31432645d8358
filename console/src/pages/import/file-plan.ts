/** What a file is, by its name and its first bytes, before anything of it is sent. */

export type Format = "csv" | "ndjson" | "parquet" | "arrow";

export interface FilePlan {
  format: Format;
  isGzip: boolean;
  /** Of text; empty for the others, which the server reads. */
  columns: string[];
  firstRows: string[][];
}

export const CONTENT_TYPES: Record<Format, string> = {
  csv: "text/csv",
  ndjson: "application/x-ndjson",
  parquet: "application/vnd.apache.parquet",
  arrow: "application/vnd.apache.arrow.stream",
};

const ENDINGS: Record<string, Format> = {
  ...{ csv: "csv", txt: "csv", ndjson: "ndjson", jsonl: "ndjson" },
  ...{ parquet: "parquet", pq: "parquet", arrow: "arrow", arrows: "arrow", ipc: "arrow" },
};
const HEAD_BYTES = 65_536;
const ROWS_SHOWN = 5;

/** @throws Error It isn't one that the page can send. */
export async function planOf(file: File): Promise<FilePlan> {
  const parts = file.name.toLowerCase().split(".");
  const isGzip = parts.at(-1) === "gz";
  const ending = parts.at(isGzip ? -2 : -1) ?? "";
  const format = ENDINGS[ending];
  if (format === undefined || (isGzip && format !== "csv" && format !== "ndjson"))
    throw new Error(
      `${file.name}: expected a name that ends with .csv, .ndjson, .parquet or .arrow; text also with .gz`,
    );
  const lines = format === "csv" || format === "ndjson" ? await firstLines(file, isGzip) : [];
  return { format, isGzip, ...(format === "csv" ? ofCsv(lines) : ofNdjson(lines)) };
}

export function textOf(file: File, isGzip: boolean): ReadableStream<string> {
  const bytes: ReadableStream<BufferSource> = isGzip
    ? file.stream().pipeThrough(new DecompressionStream("gzip"))
    : file.stream();
  return bytes.pipeThrough(new TextDecoderStream());
}

async function firstLines(file: File, isGzip: boolean): Promise<string[]> {
  const reader = textOf(file, isGzip).getReader();
  let text = "";
  let isWhole = false;
  while (text.length < HEAD_BYTES && !isWhole) {
    const { done, value } = await reader.read();
    isWhole = done;
    text += value ?? "";
  }
  void reader.cancel();
  const lines = text.split(/\r?\n/);
  // Its last line may go on.
  if (!isWhole) lines.pop();
  return lines.slice(0, ROWS_SHOWN + 1).filter((line) => line !== "");
}

function ofCsv([head, ...rows]: string[]): Pick<FilePlan, "columns" | "firstRows"> {
  return { columns: cellsOf(head ?? ""), firstRows: rows.map(cellsOf) };
}

function ofNdjson(lines: string[]): Pick<FilePlan, "columns" | "firstRows"> {
  const rows = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return { columns, firstRows: rows.map((row) => columns.map((name) => String(row[name] ?? ""))) };
}

/** Quotes as RFC 4180 has them, without line ends in them: it is only shown. */
function cellsOf(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'),
  );
}
