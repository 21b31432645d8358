/** Where a writer keeps batches until they are answered. */

/** Rows for one request. */
export interface Batch {
  path: string;
  query: string;
  /** What request it is, also in a later run. */
  key: string;
  /** Rows as JSON; null: they are at `place` alone. */
  lines: string[] | null;
  place?: SpoolPlace;
}

export interface SpoolPlace {
  segment: number;
  offset: number;
  bytes: number;
}

/** A batch of an earlier run. */
export interface LeftBatch extends Batch {
  rows: number;
}

/** One writer at a time has it open. */
export interface Spool {
  open(): Promise<OpenSpool>;
}

export interface OpenSpool {
  /** Without answers, in their order. */
  readonly left: readonly LeftBatch[];
  /** Waits for room. */
  append(batch: Batch, signal: AbortSignal): Promise<SpoolPlace>;
  read(place: SpoolPlace): Promise<string[]>;
  /** It was answered. */
  done(place: SpoolPlace, key: string): Promise<void>;
  close(): Promise<void>;
}
