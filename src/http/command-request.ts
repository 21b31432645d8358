import type { Answer } from "../commands/context.ts";
import { COMMANDS } from "../commands/index.ts";
import { show } from "../commands/params.ts";
import { badRequest } from "../protocol/errors.ts";
import { parseAllIntegers } from "../protocol/exact-integers.ts";
import { isObject, parseRequestJson } from "../protocol/json.ts";
import { messageOf } from "../protocol/message-of.ts";
import { IDEMPOTENCY_HEADER, readSaveId, SAVE_ID_HEADER } from "../protocol/save-id.ts";
import type { Call } from "./call.ts";
import { readBody } from "./request-body.ts";
import type { RouterOptions } from "./router-options.ts";

/** An error shows this many characters of an unknown command. */
const COMMAND_SHOWN_MAX = 100;
/** Bodies up to this size are parsed even when memory is short. */
const SMALL_BODY_BYTES = 1024 * 1024;
/** Doubles hold every integer of 15 digits. Longer ones may lose some. */
const LONG_INTEGER = /\d{16}/;

/** @throws RequestError The request is wrong, or the command throws it. */
export async function runCommand(call: Call): Promise<Answer> {
  const { bodies, memory } = call.options;
  const announced = call.announcedBytes;
  // Parsing a body takes thirty times its size for a moment.
  if (announced === null || announced > SMALL_BODY_BYTES) memory.admit("a large request");
  // The share lasts until the command is done, which may wait for its turn or for the hub.
  const share = bodies.share(call);
  try {
    bodies.waiting++;
    let text: string;
    try {
      text = await readBody(call, share);
    } finally {
      bodies.waiting--;
    }
    return await run(text, call);
  } finally {
    share.release();
  }
}

async function run(text: string, call: Call): Promise<Answer> {
  const { request, options } = call;
  let payload: unknown;
  try {
    payload = LONG_INTEGER.test(text) ? parseRequestJson(text, parseAllIntegers) : parseRequestJson(text);
  } catch (error) {
    throw badRequest("Invalid JSON payload", messageOf(error));
  }
  if (!isObject(payload)) {
    throw badRequest(
      "Error processing request payload",
      `got ${show(payload)}, expected an object with a 'command'`,
    );
  }
  const { command: name, params = {} } = payload;
  if (name === undefined || name === null || name === "" || name === false || name === 0) {
    throw badRequest("Missing 'command' in payload");
  }
  if (!isObject(params)) throw badRequest(`params: got ${show(params)}, expected an object`);
  const command = typeof name === "string" ? COMMANDS.get(name) : undefined;
  if (command === undefined)
    throw badRequest(
      `Unknown command: ${typeof name === "string" && name.length <= COMMAND_SHOWN_MAX ? name : show(name)}`,
    );
  // The statement may take longer than Bun's idle limit.
  if (name === "execute_sql" && options.sqlOutlastsIdleLimit) call.liftLimit();
  const asked = {
    params,
    text,
    saveId: readSaveId(request.headers.get(SAVE_ID_HEADER)),
    idempotencyKey: request.headers.get(IDEMPOTENCY_HEADER),
    // Bun makes the signal when it is first read.
    get signal() {
      return request.signal;
    },
    get client() {
      return call.address;
    },
  };
  const body = await command.run(asked, options.context);
  if (body instanceof ReadableStream && name !== "execute_sql")
    await admitLargeRead(command.name, body, options);
  return body;
}

/**
 * The size of a read is known once it has begun. The read is given up then.
 * @throws RequestError 503 while memory is short.
 */
async function admitLargeRead(
  name: string,
  body: ReadableStream<Uint8Array>,
  { memory }: RouterOptions,
): Promise<void> {
  try {
    memory.admit(name);
  } catch (error) {
    await body.cancel(error);
    throw error;
  }
}
