import type { Scope } from "../access/scopes.ts";
import type { Answer, Command } from "../commands/context.ts";
import { COMMANDS } from "../commands/index.ts";
import { show } from "../commands/params.ts";
import { readStrict, refuseWarnings, unknownParams, withHints, withWarnings } from "../commands/warnings.ts";
import { ArrowError } from "../formats/arrow-error.ts";
import { type ArrowRows, readArrow } from "../formats/arrow-rows.ts";
import { STATUS } from "../protocol/codes.ts";
import { badRequest, RequestError } from "../protocol/errors.ts";
import { parseAllIntegers } from "../protocol/exact-integers.ts";
import { isObject, parseRequestJson } from "../protocol/json.ts";
import { messageOf } from "../protocol/message-of.ts";
import { IDEMPOTENCY_HEADER, readSaveId, SAVE_ID_HEADER } from "../protocol/save-id.ts";
import type { Call } from "./call.ts";
import { isArrow, readBody, readBytes } from "./request-body.ts";
import type { RouterOptions } from "./router-options.ts";

/** An error shows this many characters of an unknown command. */
const COMMAND_SHOWN_MAX = 100;
/** Bodies up to this size are parsed even when memory is short. */
const SMALL_BODY_BYTES = 1024 * 1024;
const COMMAND_EXAMPLE =
  '/db_command?command={"command":"save_realtime_data","params":{"ticker":"IBM","data_type":"trade","index_col":"timestamp"}}';
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
    let bytes: Uint8Array<ArrayBuffer> | null = null;
    try {
      if (isArrow(call)) {
        text = commandOfUrl(call);
        bytes = await readBytes(call, share);
      } else text = await readBody(call, share);
    } finally {
      bodies.waiting--;
    }
    return await run(text, bytes, call);
  } finally {
    share.release();
  }
}

/** The command of rows that are the body. @throws RequestError 400 */
function commandOfUrl({ query }: Call): string {
  const command = new URLSearchParams(query).get("command");
  if (command !== null) return command;
  throw badRequest(`command: expected it in the URL, as the body is Arrow: ${COMMAND_EXAMPLE}`);
}

/** @throws RequestError 400 not Arrow, 415 the command takes none. */
async function readRows(
  command: Command,
  params: object,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<ArrowRows> {
  if (!command.takesArrow)
    throw new RequestError(
      STATUS.wrongMediaType,
      `Content-Type: ${command.name} takes no Arrow body, expected application/json`,
    );
  if ("data" in params) throw badRequest("data: got it twice, in the URL and as the body");
  try {
    return await readArrow(bytes);
  } catch (error) {
    if (error instanceof ArrowError) throw badRequest(`data: ${error.message}`);
    throw error;
  }
}

async function run(text: string, bytes: Uint8Array<ArrayBuffer> | null, call: Call): Promise<Answer> {
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
  call.what = command.name;
  call.demand(command.scope);
  // The statement may take longer than Bun's idle limit.
  if (name === "execute_sql" && options.sqlOutlastsIdleLimit) call.liftLimit();
  if (name === "execute_sql") call.hold(typeof params.sql_query === "string" ? params.sql_query : null);
  const isStrict = readStrict(params.strict);
  const wantsWarnings = params.warnings !== false;
  let warnings = wantsWarnings ? unknownParams(command, params) : null;
  if (warnings !== null && isStrict) throw refuseWarnings(warnings);
  const addWarning = (warning: string): void => {
    warnings ??= [];
    warnings.push(warning);
  };
  const asked = {
    params,
    text,
    arrow: bytes === null ? null : await readRows(command, params, bytes),
    addWarning: wantsWarnings ? addWarning : null,
    saveId: readSaveId(request.headers.get(SAVE_ID_HEADER)),
    idempotencyKey: request.headers.get(IDEMPOTENCY_HEADER),
    // Bun makes the signal when it is first read.
    get signal() {
      return call.signal;
    },
    get client() {
      return call.client;
    },
    sender: call,
    demand: (scope: Scope) => call.demand(scope),
  };
  let body: Answer;
  try {
    body = await command.run(asked, call.context);
  } catch (error) {
    throw warnings === null ? error : withHints(error, warnings);
  }
  if (body instanceof ReadableStream && name !== "execute_sql")
    await admitLargeRead(command.name, body, options);
  if (warnings === null) return body;
  if (isStrict) throw refuseWarnings(warnings);
  return withWarnings(body, warnings);
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
