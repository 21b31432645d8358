import type { Param } from "./session.ts";

/** A statement to run in the transaction of the batch. */
export interface Write {
  kind: "insert" | "update";
  sql: string;
  params: Param[];
}
