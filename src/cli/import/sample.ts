/** Fills an empty database with the repository's sample. */
import { join } from "node:path";
import type { CsvKind } from "../../market/csv.ts";
import type { StockWriter } from "../../storage/contract.ts";
import { silentProgress } from "../progress.ts";
import { importFiles } from "./import-files.ts";
import { NO_CHOICES } from "./layout.ts";
import { fileTarget } from "./target.ts";

const SAMPLE_DIR = join(import.meta.dir, "../../../sample");
const BATCH_ROWS = 2_000;

interface SampleFile {
  file: string;
  ticker: string;
  interval?: "daily" | "hourly";
  /** `actions`: a list as `save_corporate_actions` takes it. */
  type?: "quote" | "trade" | "actions";
}

export interface ImportedSample {
  ticker: string;
  kind: CsvKind | "actions";
  rows: number;
}

/** @throws Error the sample is damaged, or the database refuses it. */
export async function importSample(writer: Pick<StockWriter, "commit">): Promise<ImportedSample[]> {
  const manifest: SampleFile[] = await Bun.file(join(SAMPLE_DIR, "manifest.json")).json();
  const target = fileTarget("the database", { writer, close() {} });
  const imported: ImportedSample[] = [];
  for (const { file, ticker, interval, type } of manifest) {
    const kind = interval ?? type;
    if (kind === undefined) throw new Error(`sample/manifest.json: ${file} has neither interval nor type`);
    const path = join(SAMPLE_DIR, file);
    if (kind === "actions") {
      const data: unknown[] = await Bun.file(path).json();
      await target.save({ command: "save_corporate_actions", params: { ticker, data } });
      imported.push({ ticker, kind, rows: data.length });
      continue;
    }
    const result = await importFiles({
      ...NO_CHOICES,
      files: [path],
      skipLines: 0,
      separator: null,
      ticker,
      tickerFrom: null,
      kind,
      onDuplicate: null,
      planOnly: false,
      restart: true,
      target,
      batchRows: BATCH_ROWS,
      skipBad: false,
      progress: silentProgress,
    });
    if (result.stoppedBy !== null) throw new Error(`sample: ${result.stoppedBy}`);
    imported.push({ ticker, kind, rows: result.rowsStored });
  }
  return imported;
}
