/**
 * Follows the frames of a zstd stream (RFC 8878), to tell one that was cut off: the decompressor
 * ends such a stream as if it were complete.
 */

const MAGIC = 0xfd2fb528;
const SKIPPABLE = { first: 0x184d2a50, last: 0x184d2a5f };
const RLE_BLOCK = 1;
/** Bytes of the dictionary's id and of the content's size, by the flags of a frame. */
const DICTIONARY_BYTES = [0, 1, 2, 4];
const CONTENT_BYTES = [0, 2, 4, 8];
const CHECKSUM_BYTES = 4;

type FrameStep = "magic" | "skippable size" | "descriptor" | "block" | "checksum";

export class ZstdFrames {
  #step: FrameStep = "magic";
  /** Bytes of the current step that have come. */
  #part: number[] = [];
  /** Bytes to pass over before the next step. */
  #skip = 0;
  #hasChecksum = false;

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - at);
        this.#skip -= passed;
        at += passed;
        continue;
      }
      this.#part.push(chunk[at++]!);
      this.#advance();
    }
  }

  /** Whether it ended at the end of a frame. */
  isComplete(): boolean {
    return this.#step === "magic" && this.#part.length === 0 && this.#skip === 0;
  }

  #advance(): void {
    const part = this.#part;
    if (this.#step === "magic" && part.length === 4) {
      const magic = number(part);
      const isSkippable = magic >= SKIPPABLE.first && magic <= SKIPPABLE.last;
      // What isn't zstd is for the decompressor to refuse.
      if (magic === MAGIC || isSkippable) this.#goTo(isSkippable ? "skippable size" : "descriptor");
    } else if (this.#step === "skippable size" && part.length === 4) {
      this.#goTo("magic", number(part));
    } else if (this.#step === "descriptor") {
      const flags = part[0]!;
      const isSingle = (flags & 0x20) !== 0;
      const sizeFlag = flags >> 6;
      const contentBytes = sizeFlag === 0 && isSingle ? 1 : CONTENT_BYTES[sizeFlag]!;
      this.#hasChecksum = (flags & 0x04) !== 0;
      this.#goTo("block", (isSingle ? 0 : 1) + DICTIONARY_BYTES[flags & 0x03]! + contentBytes);
    } else if (this.#step === "block" && part.length === 3) {
      const header = number(part);
      const size = header >> 3;
      const next = (header & 1) === 0 ? "block" : this.#hasChecksum ? "checksum" : "magic";
      this.#goTo(next, ((header >> 1) & 0x03) === RLE_BLOCK ? 1 : size);
    } else if (this.#step === "checksum" && part.length === CHECKSUM_BYTES) {
      this.#goTo("magic");
    }
  }

  #goTo(step: FrameStep, skip = 0): void {
    this.#step = step;
    this.#part = [];
    this.#skip = skip;
  }
}

/** Little-endian. */
function number(bytes: readonly number[]): number {
  return bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
}
