/** Tells the audit that the database was put back while no server had it. */
import { forgetRestoreNotes, readRestoreNotes } from "../backup/restore-note.ts";
import { isInFile } from "../config/setting-table.ts";
import type { Settings } from "../config/settings.ts";
import { AuditLog } from "../observe/audit-log.ts";
import type { Logger } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";

/** Nobody has asked for it: no key, and no address. */
const OF_RESTORE = { what: "restore", who: "-", from: "-", outcome: "ok" } as const;

/**
 * Without an audit what `restore` has noted stays for a server that keeps one.
 *
 * @param found why a new epoch begins, where the file was put back by other means; null: it wasn't.
 * @throws UsageError the audit can't be written.
 */
export async function auditRestores(
  { dbFile, auditLog }: Settings,
  found: string | null,
  log: Logger,
): Promise<void> {
  if (auditLog === null || !isInFile(dbFile)) return;
  const notes = readRestoreNotes(dbFile);
  if (notes.length === 0 && found === null) return;
  const audit = new AuditLog(auditLog, log);
  for (const note of notes) audit.note({ ...note, ...OF_RESTORE });
  if (found !== null) audit.note({ ...OF_RESTORE, found });
  await audit.close();
  try {
    forgetRestoreNotes(dbFile);
  } catch (error) {
    log.warning(`Audit: the restore of ${dbFile} will be told again: ${messageOf(error)}`);
  }
}
