/**
 * What `doctor` finds out about a database. A driver yields its findings one by one, the slow ones
 * last. It must not change the database, nor throw for what is wrong with it: that is a finding.
 */

export interface Finding {
  /** `fail`: the server can't serve it; `warning`: it can, but somebody should know. */
  level: "ok" | "warning" | "fail";
  /** A word or two, such as "schema". */
  subject: string;
  finding: string;
  /** What to do about it; absent where there is nothing to do. */
  advice?: string | undefined;
}

/**
 * `begin` comes before what may take long, so that whoever waits can say what it was waiting for;
 * `optional`: not to be done in time is no failure.
 */
export type DiagnosisStep = Finding | { begin: string; optional: boolean };
