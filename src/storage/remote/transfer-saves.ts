/**
 * Saves of a copy into another server: several requests under way, each small enough for any of
 * them, each whole or not at all.
 */
import { STATUS } from "../../protocol/codes.ts";
import { RequestError } from "../../protocol/errors.ts";
import { type Save, type SaveOutcome, StorageBusyError } from "../contract.ts";
import { kindOf } from "../model/kinds.ts";
import { saveCommand } from "./save-command.ts";
import { RemoteSaves } from "./saves.ts";
import type { Upstream } from "./upstream.ts";

const REQUESTS_MAX = 8;
/** About 400 KB. */
const ROWS_PER_REQUEST = 2_500;
const MAX_BODY_BYTES = 10 * 1024 * 1024;
/** The server refuses this save, and not every save. */
const REFUSALS: number[] = [STATUS.badRequest, STATUS.conflict, STATUS.tooLarge];
const BUSY: number[] = [STATUS.unavailable, STATUS.timeIsUp];

/** Requests that go one after the other. */
interface Lane {
  index: number;
  saves: Save[];
}

export class TransferSaves {
  readonly #saves: RemoteSaves;

  constructor(upstream: Upstream) {
    this.#saves = new RemoteSaves(upstream, MAX_BODY_BYTES);
  }

  /**
   * Not one transaction: a save may be stored in part if the copy dies, and then the rest is what
   * the next copy finds.
   *
   * @throws StorageBusyError none could be stored now.
   */
  async commit(saves: Save[]): Promise<(SaveOutcome | null)[]> {
    const outcomes: (SaveOutcome | "busy" | undefined)[] = new Array(saves.length);
    const lanes = saves.flatMap(lanesOf).values();
    let busy: Error | null = null;
    await Promise.all(
      Array.from({ length: REQUESTS_MAX }, async () => {
        for (const { index, saves } of lanes) {
          for (const save of saves) {
            const outcome = await this.#store(save).catch((error: unknown) => {
              if (!(error instanceof RequestError)) throw error;
              if (REFUSALS.includes(error.status)) return asOutcome(error);
              if (!BUSY.includes(error.status)) throw error;
              busy = error;
              return "busy" as const;
            });
            const before = outcomes[index];
            // One that failed in part failed.
            if (before === undefined || isOk(before)) outcomes[index] = outcome;
            if (!isOk(outcome)) break;
          }
        }
      }),
    );
    if (busy !== null && outcomes.every((outcome) => outcome === "busy"))
      throw new StorageBusyError((busy as Error).message, { cause: busy });
    return outcomes.map((outcome) => (outcome === "busy" || outcome === undefined ? null : outcome));
  }

  #store(save: Save): Promise<SaveOutcome> {
    return this.#saves.save(save, { text: JSON.stringify(saveCommand(save)), arrow: null });
  }
}

/**
 * Slices of ticks may overtake each other. Bars in order: each save goes on with the averages of
 * those before.
 */
function lanesOf(save: Save, index: number): Lane[] {
  const slices: Save[] = [];
  for (let at = 0; at < save.rows.length; at += ROWS_PER_REQUEST)
    slices.push(sliceOf(save, at, at + ROWS_PER_REQUEST));
  return !kindOf(save.kind).hasSeq
    ? [{ index, saves: slices }]
    : slices.map((slice) => ({ index, saves: [slice] }));
}

function sliceOf(save: Save, from: number, to: number): Save {
  const rows = save.rows.slice(from, to);
  if (save.kind !== "ticks") {
    const [parts, missing] = [save.parts?.slice(from, to), save.missing?.slice(from, to)];
    return { ...save, rows, parts, missing } as Save;
  }
  return { ...save, rows, occurrences: save.occurrences?.slice(from, to) } as Save;
}

function isOk(outcome: SaveOutcome | "busy"): boolean {
  return outcome !== "busy" && outcome.ok;
}

function asOutcome({ status, message, details }: RequestError): SaveOutcome {
  return { ok: false, status, error: message, details };
}
