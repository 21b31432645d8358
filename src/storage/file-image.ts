/**
 * The bytes of a database file as of one moment, for a backup, while a server goes on writing it.
 * They are read by a process of their own, so that no worker and no hub waits.
 */

export interface FileImage {
  /** Whatever was answered before this moment is in it, in ms since 1970. */
  readonly takenAtMs: number;
  readonly parts: readonly ImagePart[];
  /**
   * Call it when all was read.
   * @throws ImageSpoiltError What was read is not of one moment: read a new image.
   */
  confirm(): void;
  close(): void;
}

export interface ImagePart {
  /** What the name of the restored file has after that of the database: "" for the file itself. */
  readonly suffix: string;
  readonly bytes: number;
  /** Fills `into` from the byte `at` on. The part has so many bytes there. */
  read(into: Uint8Array, at: number): void;
}

export class ImageSpoiltError extends Error {
  override readonly name = "ImageSpoiltError";
}
