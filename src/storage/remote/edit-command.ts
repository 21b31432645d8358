/** Edits, sent to the upstream as commands; their frames come back with everybody's. */
import { toWire } from "../../market/timestamp.ts";
import type { JsonRecord } from "../../protocol/json.ts";
import type { Edit, Edited, EditOutcome } from "../contract.ts";
import { ALL_PARTS } from "../edits.ts";
import { kindOf, partName } from "../model/kinds.ts";
import { readJsonObject, SHORT_BYTES_MAX } from "./answer-body.ts";
import { isPosition, ofOlderServer } from "./commands.ts";
import type { Upstream } from "./upstream.ts";
import { shownBeginning, WrongAnswerError } from "./wrong-answer.ts";

/** As long as PostgreSQL may take for a statement of it. */
const TIMEOUT_MS = 600_000;

interface EditCommand {
  command: string;
  params: JsonRecord;
  /** The member of the answer that counts the rows. */
  counted: string;
}

/**
 * @throws RequestError as Upstream.ask: every refusal of the upstream; 503 it is older, and knows
 *   no such command.
 */
export async function sendEdit(upstream: Upstream, edit: Edit): Promise<EditOutcome> {
  const { command, params, counted } = editCommand(edit);
  try {
    return await upstream.ask(
      {
        what: command,
        path: "/db_command",
        body: JSON.stringify({ command, params: { ...params, warnings: false } }),
        saveId: edit.identity,
        idempotencyKey: edit.identity.request?.text,
        // The log of the upstream knows its id.
        repeatable: true,
        effect: "; whether it was done is unknown",
        hint: "it can be repeated without harm",
        long: true,
        timeoutMs: TIMEOUT_MS,
      },
      async ({ response }) => readEdited(await readJsonObject(response, SHORT_BYTES_MAX), counted),
    );
  } catch (error) {
    throw ofOlderServer(error, command);
  }
}

function editCommand(edit: Edit): EditCommand {
  const dryRun = edit.dryRun ? { dry_run: true } : {};
  const { ticker } = edit;
  if (edit.what === "renaming")
    return {
      command: "rename_ticker",
      params: { ticker, new_ticker: edit.newTicker, ...dryRun },
      counted: "renamed",
    };
  const { kind: name, part, from, to, ids } = edit;
  const { wire, stamp } = kindOf(name);
  const shown = (bound: string): string => (stamp.type === "date" ? bound : toWire(bound));
  const isBounded = from !== null || to !== null || ids !== null;
  return {
    command: name === "ticks" ? "delete_ticks" : "delete_bars",
    params: {
      ticker,
      [wire.part!]: name === "ticks" && part === null ? ALL_PARTS : partName(name, part),
      ...(from === null ? {} : { [wire.from]: shown(from) }),
      ...(to === null ? {} : { [wire.to]: shown(to) }),
      ...(ids === null ? {} : { ids }),
      ...(isBounded ? {} : { all: true }),
      ...dryRun,
    },
    counted: "removed",
  };
}

/** @throws WrongAnswerError nothing says how many rows it was. */
function readEdited(body: JsonRecord, counted: string): Edited {
  const { [counted]: rows, seq, epoch } = body;
  if (!isPosition(rows) || !(seq === null || isPosition(seq)))
    throw new WrongAnswerError(shownBeginning(JSON.stringify(body)));
  return {
    ok: true,
    rows,
    position: seq,
    ...(typeof epoch === "string" ? { epoch } : {}),
    ...(body.repeated === true || body.repetition === true ? { isRepetition: true as const } : {}),
    updates: [],
  };
}
