/**
 * `doctor` shows findings. A driver yields them one by one, the slow ones last. It must not change
 * the database, and yields what is wrong with it instead of throwing.
 */

export interface Finding {
  /** `fail`: the server can't serve the database; `warning`: it can, but somebody should know. */
  level: "ok" | "warning" | "fail";
  /** A word or two, such as "schema". */
  subject: string;
  finding: string;
  advice?: string | undefined;
}

/** `begin` names a check that may not end. An `optional` check that is late is no failure. */
export type DiagnosisStep = Finding | { begin: string; optional: boolean };

export function ok(subject: string, finding: string): Finding {
  return { level: "ok", subject, finding };
}

export function warning(subject: string, finding: string, advice: string): Finding {
  return { level: "warning", subject, finding, advice };
}

export function fail(subject: string, finding: string, advice: string): Finding {
  return { level: "fail", subject, finding, advice };
}
