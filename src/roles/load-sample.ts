/** The repository's sample, for an empty database. */
import { join } from "node:path";
import type { StockWriter } from "../storage/contract.ts";

export async function loadSample(_writer: StockWriter): Promise<string> {
  return join("not", "yet");
}
