/** Newest rows out of a snapshot. */
import type { KindName, SeriesRow } from "../../src/storage/model/kinds.ts";
import type { TickerSnapshot } from "../../src/storage/update-contract.ts";

/** Null where the snapshot has none of the series. */
export function newestOf(
  { newest }: TickerSnapshot,
  kind: KindName,
  part: string | null = null,
): SeriesRow | null {
  return newest.find((found) => found.kind === kind && found.part === part)?.row ?? null;
}
