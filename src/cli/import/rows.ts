/** Brings a source to rows of text fields, each with the line that it began on. */
import { parse } from "csv-parse";
import { type Source, SourceError } from "./source.ts";

export interface CsvRow {
  /** Counted from 1; the header is a line too. */
  line: number;
  fields: string[];
}

/** A row is some ten short fields. Longer than this, a quote was opened and never closed. */
const ROW_CHARS_MAX = 65_536;

/**
 * Reads every row, the header among them, in order. Empty lines are left out. Fields are separated
 * by comma, semicolon or tab, which no number contains, and may be quoted; blanks around them are
 * dropped.
 *
 * @throws SourceError for what can't be read, and where quotes are so wrong that rows can't be told
 *   apart any more: after every row before that place, because whoever reads may want to keep
 *   those.
 */
export async function* readRows(source: Source): AsyncGenerator<CsvRow> {
  let broken: { records: number; message: string } | null = null;
  const parser = parse({
    bom: true,
    trim: true,
    delimiter: [",", ";", "\t"],
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_column_count: true,
    relax_quotes: true,
    max_record_size: ROW_CHARS_MAX,
    // An error would throw away the good rows before it that wait in the parser; so it is noted,
    // and raised in its place.
    skip_records_with_error: true,
    on_skip: (error) => {
      broken ??= { records: Number(error?.records), message: String(error?.message) };
      return undefined;
    },
  });
  const brokenAt = (): { records: number; message: string } | null => broken;
  const fed = source.pipeInto(parser).then(
    () => null,
    (error: Error) => error,
  );

  let line = 1;
  let records = 0;
  try {
    for await (const fields of parser as AsyncIterable<string[]>) {
      if (brokenAt()?.records === records) break;
      records++;
      if (fields.length > 1 || fields[0] !== "") yield { line, fields };
      line += 1 + countNewlines(fields);
    }
  } catch (error) {
    throw (await fed) ?? error;
  }
  const end = brokenAt();
  if (end !== null) throw new SourceError(`${source.name}:${line}: ${end.message}`);
}

/** A quoted field may run over several lines, which would shift the numbers of all that follow. */
function countNewlines(fields: string[]): number {
  let count = 0;
  for (const field of fields) {
    for (let at = field.indexOf("\n"); at >= 0; at = field.indexOf("\n", at + 1)) count++;
  }
  return count;
}
