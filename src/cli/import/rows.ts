/** Splits a source into rows of text fields, with line numbers. */
import { parse } from "csv-parse";
import { type Source, SourceError } from "./source.ts";

export interface CsvRow {
  /** Where the row begins; the header is line 1. */
  line: number;
  fields: string[];
}

/** A longer row means that a quote was never closed. */
const ROW_CHARS_MAX = 65_536;

/**
 * Reads every row, also the header; skips empty lines. Fields are separated by comma, semicolon or
 * tab, which no number contains. They may be quoted; blanks around them are dropped.
 *
 * @throws SourceError the source can't be read, or quotes hide where rows end. The rows before that
 *   place come first, as the import keeps them.
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
    // An error would drop good rows that wait in the parser. So it is kept until its turn.
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

/** Quoted fields may contain newlines. */
function countNewlines(fields: string[]): number {
  let count = 0;
  for (const field of fields) {
    for (let at = field.indexOf("\n"); at >= 0; at = field.indexOf("\n", at + 1)) count++;
  }
  return count;
}
