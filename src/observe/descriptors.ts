/**
 * File descriptors of this process: each client, file and pipe takes one. Bun raises the soft limit
 * to the hard one at each start, so the limit read here is all that the system allows.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";

/** Fewer are too few for a server: each client takes one. */
export const DESCRIPTORS_ENOUGH = 8_192;

const OPEN_FILES = "/proc/self/fd";

/** @returns Infinity for "unlimited"; null where the system doesn't show it. */
export function descriptorLimit(): number | null {
  let limits: string;
  try {
    limits = readFileSync("/proc/self/limits", "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) return null;
    throw error;
  }
  const text = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  if (text === undefined) return null;
  return text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text);
}

/** Whether Linux (from 6.2) keeps a count, read in 2 µs. Otherwise each look walks over all. */
export function countsDescriptorsCheaply(): boolean {
  return (statSync(OPEN_FILES, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** Linux only. */
export function openDescriptors(): number {
  const { size } = statSync(OPEN_FILES);
  if (size > 0) return size;
  try {
    return readdirSync(OPEN_FILES).length;
  } catch (error) {
    // The walk itself needs a descriptor.
    if (error instanceof Error && "code" in error && error.code === "EMFILE") return Number.POSITIVE_INFINITY;
    throw error;
  }
}
