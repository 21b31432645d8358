/**
 * Descriptors for looking at files that an engine has open. They are never closed: closing any
 * descriptor of a file drops all locks that the process holds on it, those of the engine too
 * (POSIX).
 */
import { openSync, type Stats } from "node:fs";

/** By device and inode. */
const descriptors = new Map<string, number>();

/** @param file what is at the path now. */
export function keptDescriptor(path: string, { dev, ino }: Pick<Stats, "dev" | "ino">): number {
  const key = `${dev}:${ino}`;
  const fd = descriptors.get(key) ?? openSync(path, "r");
  descriptors.set(key, fd);
  return fd;
}
