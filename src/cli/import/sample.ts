/** Fills an empty database with the repository's sample. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installedFile } from "../../installation/installed.ts";
import type { CsvKind } from "../../market/csv.ts";
import type { StockWriter } from "../../storage/contract.ts";
import { silentProgress } from "../progress.ts";
import { importFiles } from "./import-files.ts";
import { NO_CHOICES } from "./layout.ts";
import { fileTarget, type ImportTarget } from "./target.ts";

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
  const manifest: SampleFile[] = await sampleFile("manifest.json").json();
  const target = fileTarget("the database", { writer, close() {} });
  const imported: ImportedSample[] = [];
  for (const { file, ticker, interval, type } of manifest) {
    const kind = interval ?? type;
    if (kind === undefined) throw new Error(`sample/manifest.json: ${file} has neither interval nor type`);
    if (kind === "actions") {
      const data: unknown[] = await sampleFile(file).json();
      await target.save({ command: "save_corporate_actions", params: { ticker, data } });
      imported.push({ ticker, kind, rows: data.length });
    } else {
      imported.push({ ticker, kind, rows: await importTable(file, ticker, kind, target) });
    }
  }
  return imported;
}

function sampleFile(name: string): Bun.BunFile {
  return Bun.file(installedFile(`sample/${name}`));
}

/** @returns the number of rows stored. */
async function importTable(
  file: string,
  ticker: string,
  kind: CsvKind,
  target: ImportTarget,
): Promise<number> {
  // Files within the server's one file can't be read as streams, as an import does.
  const folder = mkdtempSync(join(tmpdir(), "stock-db-sample-"));
  try {
    const path = join(folder, file);
    writeFileSync(path, await sampleFile(file).bytes());
    const { stoppedBy, rowsStored } = await importFiles({
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
    if (stoppedBy !== null) throw new Error(`sample: ${stoppedBy}`);
    return rowsStored;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
