/** Whether a backup can be restored and served. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../storage/engine.ts";
import type { Backup, BackupFolder } from "./backup-folder.ts";
import { BackupError } from "./manifest.ts";
import { rebuild } from "./rebuild.ts";

export interface Verification {
  engine: Engine;
  folder: BackupFolder;
  signal: AbortSignal;
}

/**
 * Restores it into the folder of backups, looks through the copy as `doctor` does, and removes it.
 * @throws BackupError It is damaged, or can't be served; the message says why.
 */
export async function verifyByOpening(
  backup: Backup,
  { engine, folder, signal }: Verification,
): Promise<void> {
  const scratch = folder.scratch("copy-");
  try {
    const copy = join(scratch, `copy${engine.forms.endings?.[0] ?? ""}`);
    await rebuild(folder, backup, copy, signal);
    await requireOpens(engine, copy, backup.name);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * @param path of a database that was made of the backup.
 * @throws BackupError It can't be served.
 */
export async function requireOpens(engine: Engine, path: string, name: string): Promise<void> {
  const failed: string[] = [];
  for await (const step of await engine.diagnose(path))
    if ("level" in step && step.level === "fail") failed.push(`${step.subject}: ${step.finding}`);
  if (failed.length > 0)
    throw new BackupError(`${name} can't be opened: ${failed.join("; ").replaceAll(path, "the copy")}`);
}
