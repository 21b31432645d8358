/** Numbers that several processes share, in a file that all of them map. */
import { closeSync, ftruncateSync, openSync } from "node:fs";

/** Whoever comes first makes the file, of zeros. The numbers are changed by `Atomics`. */
export function mapCells(path: string, cells: number): Int32Array {
  const fd = openSync(path, "a+", 0o600);
  ftruncateSync(fd, cells * Int32Array.BYTES_PER_ELEMENT);
  closeSync(fd);
  const bytes = Bun.mmap(path, { shared: true });
  return new Int32Array(bytes.buffer, bytes.byteOffset, cells);
}
