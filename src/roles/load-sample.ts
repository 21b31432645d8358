/** The repository's sample, for an empty database. */
import { importSample } from "../cli/import/sample.ts";
import type { StockWriter } from "../storage/contract.ts";

/**
 * @returns What was loaded, for the log.
 * @throws Error The sample is damaged, or the database refuses it.
 */
export async function loadSample(writer: StockWriter): Promise<string> {
  const imported = await importSample(writer);
  return imported.map(({ ticker, kind, rows }) => `${rows} ${kind} rows of ${ticker}`).join(", ");
}
