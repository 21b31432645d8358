/**
 * Plain ticks of a request as Arrow columns, which cost importer and server a fraction of what JSON
 * does.
 */
import type { ArrowEncoder } from "../../formats/arrow.ts";
import type { FormatColumn } from "../../formats/format-columns.ts";
import { type SaveCommand, withData } from "./target.ts";

export interface SentSave {
  /** Without its `data` if that is the body. */
  command: Pick<SaveCommand, "command" | "params">;
  /** Null: the command is the body. */
  arrow: Uint8Array<ArrayBuffer> | null;
}

let encoder: Promise<typeof ArrowEncoder> | null = null;

export async function toArrowRequest({ command, params, columns }: SaveCommand): Promise<SentSave | null> {
  if (columns === undefined) return null;
  // 120 ms: loaded when the first request wants it.
  encoder ??= import("../../formats/arrow.ts").then((formats) => formats.ArrowEncoder);
  const Encoder = await encoder;
  const described = [...columns[0]!.columns].map(
    ([name, { type }]): FormatColumn => ({ name, type: type === "text" ? "digits" : type }),
  );
  const arrow = new Encoder(described, { isFile: false, names: new Map() });
  const bytes = Buffer.concat([...columns.map((part) => arrow.encode(part)), arrow.end()]);
  const parts = columns.length > 1 ? { parts: true } : {};
  return { command: { command, params: { ...params, occurrences: "request", ...parts } }, arrow: bytes };
}

export function toJsonRequest(command: SaveCommand): SentSave {
  return { command: { command: command.command, params: withData(command) }, arrow: null };
}
