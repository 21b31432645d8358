/** The rows of one request, each key once, by its `on_duplicate`. */
import { refusalOf } from "../protocol/errors.ts";
import type { OnDuplicate, SaveCounts } from "../storage/contract.ts";
import type { SeriesRow } from "../storage/model/kinds.ts";
import { keysTwice } from "../storage/save-refusals.ts";

interface Staged {
  row: SeriesRow;
  /** Places of the values that no record of the key has brought. */
  missing: number[];
}

export class StagedRecords {
  readonly #onDuplicate: OnDuplicate;
  readonly #what: string;
  readonly #byStamp = new Map<string, Staged>();
  readonly #twice: string[] = [];
  #isAscending = true;
  #last = "";

  /** @param what begins a refusal. */
  constructor(onDuplicate: OnDuplicate, what: string) {
    this.#onDuplicate = onDuplicate;
    this.#what = what;
  }

  /** @param missingOf asked only for a "merge". */
  add(row: SeriesRow, missingOf: () => number[]): void {
    const [stamp] = row;
    if (stamp < this.#last) this.#isAscending = false;
    this.#last = stamp;
    const missing = this.#onDuplicate === "merge" ? missingOf() : [];
    const before = this.#byStamp.get(stamp);
    if (before === undefined) this.#byStamp.set(stamp, { row, missing });
    else {
      this.#twice.push(stamp);
      if (this.#onDuplicate === "keep") return;
      for (const place of missing) row[place] = before.row[place]!;
      this.#byStamp.set(stamp, { row, missing: missing.filter((place) => before.missing.includes(place)) });
    }
  }

  /** Ascending. @throws RequestError 409 a key that may not be there twice. */
  rows(): { rows: SeriesRow[]; missing?: number[][] } {
    if (this.#onDuplicate === "error" && this.#twice.length > 0) {
      const refused = keysTwice(this.#what, this.#twice);
      throw refusalOf(refused.status, refused);
    }
    const staged = [...this.#byStamp.values()];
    if (!this.#isAscending) staged.sort((a, b) => (a.row[0] < b.row[0] ? -1 : 1));
    const rows = staged.map(({ row }) => row);
    return this.#onDuplicate === "merge" ? { rows, missing: staged.map(({ missing }) => missing) } : { rows };
  }

  /** What became of the records whose key another one has. */
  doubled(records: number): Pick<SaveCounts, "replaced" | "skipped"> {
    const count = records - this.#byStamp.size;
    return this.#onDuplicate === "keep" ? { skipped: count } : { replaced: count };
  }
}
