/**
 * Saves, passed on to the upstream as the client sent them; their frames come back with everybody's
 * (remote-updates.ts).
 */
import { unavailable } from "../../protocol/errors.ts";
import { ARROW_STREAM, JSON_TYPE } from "../../protocol/media-types.ts";
import type { Save, SaveCounts, SaveOutcome } from "../contract.ts";
import type { SentRequest } from "../engine.ts";
import { readJsonObject, SHORT_BYTES_MAX } from "./answer-body.ts";
import { isPosition } from "./commands.ts";
import { saveCommand } from "./save-command.ts";
import type { Upstream, UpstreamAnswer } from "./upstream.ts";
import { shownBeginning, WrongAnswerError } from "./wrong-answer.ts";

/** Bodies of saves that the upstream has not answered; beyond it a save gets 503. */
const SAVE_BYTES_IN_FLIGHT_MAX = 256 * 1024 * 1024;
/** Longer than an upstream waits for its own writer. */
const SAVE_TIMEOUT_MS = 30_000;
/** How every answer to a save ends, also of older servers. */
const STORED = /\bsaved successfully(\.$| for )/;

export class RemoteSaves {
  readonly #upstream: Upstream;
  readonly #maxBodyBytes: number;
  #bytesInFlight = 0;

  /** @param maxBodyBytes a larger body came packed, and goes on packed. */
  constructor(upstream: Upstream, maxBodyBytes: number) {
    this.#upstream = upstream;
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** @throws RequestError as Upstream.ask: every refusal of the upstream. */
  async save(save: Save, request: SentRequest): Promise<SaveOutcome> {
    const text = request.text ?? JSON.stringify(saveCommand(save));
    const bytes = request.arrow?.bytes.length ?? Buffer.byteLength(text);
    if (this.#bytesInFlight > 0 && this.#bytesInFlight + bytes > SAVE_BYTES_IN_FLIGHT_MAX) {
      throw unavailable(
        `save: ${this.#bytesInFlight} bytes of saves wait for the upstream already; try again`,
      );
    }
    this.#bytesInFlight += bytes;
    try {
      return await this.#send(save, { text, arrow: request.arrow }, bytes > this.#maxBodyBytes);
    } finally {
      this.#bytesInFlight -= bytes;
    }
  }

  async #send(
    save: Save,
    { text, arrow }: SentRequest & { text: string },
    packed: boolean,
  ): Promise<SaveOutcome> {
    // "error" asks whether the key was free, which a repetition would answer wrongly.
    const repeatable = save.onDuplicate !== "error";
    return this.#upstream.ask(
      {
        what: "save",
        path: arrow === null ? "/db_command" : `/db_command?command=${encodeURIComponent(text)}`,
        type: arrow === null ? JSON_TYPE : ARROW_STREAM,
        body: packed ? await pack(arrow?.bytes ?? text) : (arrow?.bytes ?? text),
        packed,
        saveId: save.update,
        idempotencyKey: save.update?.request?.text,
        repeatable,
        effect: "; whether it was stored is unknown",
        hint: repeatable
          ? "a save can be repeated without harm"
          : "a repetition is answered with 409 if it was stored",
        long: false,
        timeoutMs: SAVE_TIMEOUT_MS,
      },
      readOutcome,
    );
  }
}

/**
 * @throws WrongAnswerError nothing says that it was stored: a page of a proxy has status 200 as
 *   well.
 */
async function readOutcome({ response }: UpstreamAnswer): Promise<SaveOutcome> {
  const body = await readJsonObject(response, SHORT_BYTES_MAX);
  // An older server tells no counts, and the position by another name.
  const { message, stored = 0, replaced = 0, repeated = 0, skipped = 0 } = body;
  const { position = body.seq ?? null, epoch } = body;
  const isRepetition = repeated === true || body.repetition === true;
  const counts = { stored, replaced, repeated: repeated === true ? 0 : repeated, skipped };
  const isTold = typeof message === "string" && STORED.test(message);
  if (!isTold || !areCounts(counts) || !(position === null || isPosition(position)))
    throw new WrongAnswerError(shownBeginning(JSON.stringify(body)));
  return {
    ok: true,
    ...counts,
    position,
    countsRecords: true,
    ...(typeof epoch === "string" ? { epoch } : {}),
    ...(isRepetition ? { isRepetition } : {}),
  };
}

function areCounts(
  counts: Record<keyof SaveCounts, unknown>,
): counts is Required<SaveCounts> & Record<keyof SaveCounts, number> {
  return Object.values(counts).every(isPosition);
}

async function pack(body: string | Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
