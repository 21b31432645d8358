/** A writer and a reader of one database as what `copy` writes into. */
import type { StockWriter, TransferReader } from "../../storage/contract.ts";
import type { OpenTransferTarget } from "../engine.ts";

/** @param close closes both. */
export function transferTarget(
  writer: Pick<StockWriter, "commit">,
  reader: TransferReader,
  { preparation, close }: { preparation: string | null; close(): Promise<void> },
): OpenTransferTarget {
  return {
    preparation,
    commit: (saves) => writer.commit(saves),
    tickers: (kind, after, limit) => reader.tickers(kind, after, limit),
    parts: (kind, ticker) => reader.parts(kind, ticker),
    rows: (range) => reader.rows(range),
    close,
  };
}
