/**
 * The identity that a client gives a save, by the header `Idempotency-Key` or the parameter
 * `save_id`: see `RequestIdentity`.
 */
import { createHash } from "node:crypto";
import { badRequest } from "../protocol/errors.ts";
import { IDEMPOTENCY_HEADER } from "../protocol/save-id.ts";
import type { Removal, Renaming, Save } from "../storage/contract.ts";
import type { RequestIdentity } from "../storage/update-contract.ts";
import type { CommandCall } from "./context.ts";
import { show } from "./params.ts";

const LENGTH_MAX = 255;
/** Printable ASCII, as a header can bring it. */
const TEXT = /^[\x21-\x7e]+$/;

/** @returns null: it gives none. @throws RequestError 400 */
export function readIdentity({ params, idempotencyKey }: Pick<CommandCall, "params" | "idempotencyKey">) {
  const header = readText(idempotencyKey, IDEMPOTENCY_HEADER);
  const param = readText(params.save_id, "save_id");
  if (header !== null && param !== null && header !== param)
    throw badRequest(
      `save_id: got ${show(param)}, and ${IDEMPOTENCY_HEADER} is ${show(header)}; expected one of them, or the same`,
    );
  return param ?? header;
}

/** A save with rows. @param text of `readIdentity`. */
export function identityOf(text: string, save: Save): RequestIdentity {
  const { kind, ticker, part, rows, onDuplicate } = save;
  const parts = save.kind === "ticks" ? undefined : save.parts;
  return identity(text, [ticker, kind, part], [onDuplicate, rows, parts]);
}

/** @param text of `readIdentity`. */
export function editIdentityOf(text: string, command: string, edit: Removal | Renaming): RequestIdentity {
  return identity(text, [edit.ticker, command], edit);
}

function identity(text: string, scope: unknown[], content: unknown): RequestIdentity {
  const key = createHash("sha256")
    .update(JSON.stringify([...scope, text]))
    .digest("base64url");
  const print = Bun.hash(JSON.stringify(content)).toString(36);
  return { key: key.slice(0, 32), print, text };
}

function readText(value: unknown, name: string): string | null {
  if (value === undefined || value === null || value === "") return null;
  if (typeof value === "string" && value.length <= LENGTH_MAX && TEXT.test(value)) return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return String(value);
  throw badRequest(
    `${name}: got ${show(value)}, expected at most ${LENGTH_MAX} printable characters of ASCII without blanks`,
  );
}
