/** Rows in PostgreSQL's binary COPY format: where the cells of those lie that have come whole. */

/** Behind a signature of 11 bytes and the flags: how much more the header has. */
const HEADER_BYTES = 19;
const EXTENSION_AT = 15;
/** Of a row: how many cells it has. */
const COUNT_BYTES = 2;
/** Of a cell: how many bytes it has; -1 for null. */
const LENGTH_BYTES = 4;
const NO_MORE_ROWS = -1;
const START_BYTES = 256 * 1024;

export class CopiedRows {
  readonly columns: number;
  /** Of each found row, one for each of its cells: the length lies there, the cell behind it. */
  readonly places: Int32Array;
  #bytes = Buffer.allocUnsafeSlow(START_BYTES);
  #view = viewOf(this.#bytes);
  #at = 0;
  #end = 0;
  #isBegun = false;

  constructor(columns: number, rowsMax: number) {
    this.columns = columns;
    this.places = new Int32Array(columns * rowsMax);
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  get view(): DataView {
    return this.#view;
  }

  /** Bytes of which no row has been found yet. */
  get waiting(): number {
    return this.#end - this.#at;
  }

  /** What has been found before is gone. */
  push(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#bytes.length) this.#makeRoom(chunk.length);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** @returns How many rows it has found. */
  find(rowsMax: number): number {
    if (!this.#isBegun && !this.#passHeader()) return 0;
    let found = 0;
    while (found < rowsMax && this.#findRow(found * this.columns)) found++;
    return found;
  }

  #passHeader(): boolean {
    if (this.waiting < HEADER_BYTES) return false;
    const length = HEADER_BYTES + this.#view.getInt32(EXTENSION_AT);
    if (this.waiting < length) return false;
    this.#at = length;
    this.#isBegun = true;
    return true;
  }

  #findRow(place: number): boolean {
    const view = this.#view;
    const end = this.#end;
    let at = this.#at;
    if (at + COUNT_BYTES > end || view.getInt16(at) === NO_MORE_ROWS) return false;
    at += COUNT_BYTES;
    for (let column = 0; column < this.columns; column++) {
      if (at + LENGTH_BYTES > end) return false;
      this.places[place + column] = at;
      at += LENGTH_BYTES + Math.max(0, view.getInt32(at));
    }
    if (at > end) return false;
    this.#at = at;
    return true;
  }

  #makeRoom(bytes: number): void {
    const { waiting } = this;
    const before = this.#bytes;
    if (waiting + bytes > before.length) {
      this.#bytes = Buffer.allocUnsafeSlow(2 * (waiting + bytes));
      this.#view = viewOf(this.#bytes);
    }
    before.copy(this.#bytes, 0, this.#at, this.#end);
    this.#at = 0;
    this.#end = waiting;
  }
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}
