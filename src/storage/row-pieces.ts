/** The rows of a large answer as they are read, in the envelope of all answers. */

/** Rows as JSON objects with commas between them. Only the last may be empty. */
export interface RowsPiece {
  rows: string;
  /** How many they are. */
  count: number;
  isLast: boolean;
}

export interface PiecesSource {
  /** Isn't called after `end`, but one call may be under way then. */
  next(): Promise<RowsPiece>;
  /** Frees what the rows come from. Called once. @param failed `next` has thrown. */
  end(failed: boolean): void | Promise<void>;
}

/** Not a generator: `return()` before the first `next()` would skip its `finally`. */
export class RowPieces implements AsyncIterableIterator<string> {
  readonly #source: PiecesSource;
  /** That were given. */
  rows = 0;
  #begun = false;
  #done = false;

  constructor(source: PiecesSource) {
    this.#source = source;
  }

  async next(): Promise<IteratorResult<string>> {
    if (this.#done) return { done: true, value: undefined };
    try {
      const { rows, count, isLast } = await this.#source.next();
      if (this.#done) return { done: true, value: undefined }; // given up meanwhile
      const start = this.#begun ? (rows === "" ? "" : ",") : '{"data":[';
      this.#begun = true;
      this.rows += count;
      if (isLast) await this.#end(false);
      return { done: false, value: `${start}${rows}${isLast ? "]}" : ""}` };
    } catch (error) {
      await this.#end(true);
      throw error;
    }
  }

  async return(): Promise<IteratorResult<string>> {
    await this.#end(false);
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #end(failed: boolean): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    await this.#source.end(failed);
  }
}
