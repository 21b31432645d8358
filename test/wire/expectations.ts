/**
 * What a deviation expects in place of the recorded outcome. Each gives what is wrong, in words;
 * nothing if all is well.
 */
import { compareJson, compareOutcomes, type Leniency, type Outcome, visit } from "./compare.ts";
import { isObject, type Json, type JsonObject } from "./json.ts";
import type { Step } from "./transcript.ts";

export interface Context {
  step: Step;
  /** What the older server did. */
  recorded: Outcome;
  /** The whole transcript, for what earlier steps sent. */
  steps: Step[];
}

export type Expectation = (got: Outcome, context: Context) => string[];

function leniencyOf(step: Step): Leniency {
  return { volatile: step.volatile, ignored: step.impl_text };
}

/** Wrong in kind but not in this step: the answer is the recorded one. */
export const asRecorded: Expectation = (got, { step, recorded }) =>
  compareOutcomes(recorded, got, leniencyOf(step));

/**
 * The recorded outcome but for the members at these paths; they are added where they are missing at
 * the end of a path.
 */
export function recordedBut(changes: JsonObject): Expectation {
  return (got, { step, recorded }) => {
    const expected = structuredClone(recorded);
    for (const [path, value] of Object.entries(changes)) {
      const cut = path.lastIndexOf(".");
      if (cut === -1) expected[path] = value;
      else {
        const owners: JsonObject[] = [];
        visit(expected, path.slice(0, cut), (owner, key) => {
          const found = owner[key];
          if (isObject(found)) owners.push(found);
          else if (Array.isArray(found)) owners.push(...found.filter(isObject));
        });
        for (const owner of owners) owner[path.slice(cut + 1)] = value;
      }
    }
    return compareOutcomes(expected, got, leniencyOf(step));
  };
}

/** Exactly these members; others aren't looked at. */
export function outcome(expected: Outcome): Expectation {
  return (got) => compareOutcomes(expected, got);
}

/** The same with `warnings` of a parameter that has no effect. */
export function warned(otherwise: Expectation): Expectation {
  return (got, context) => {
    const { warnings, ...body } = isObject(got.body) ? got.body : {};
    const wrong = otherwise({ ...got, body }, context);
    return Array.isArray(warnings) ? wrong : [...wrong, `body.warnings: got ${Bun.inspect(warnings)}`];
  };
}

/** An error answer that names what is wrong. */
export function refused(status: number, naming?: RegExp): Expectation {
  return (got) => {
    const wrong = compareJson(status, got.status, "status");
    const body = got.body;
    if (!isObject(body) || typeof body.error !== "string" || body.error === "") {
      return [...wrong, `body: expected an error, got ${Bun.inspect(body)}`];
    }
    const text = `${body.error} ${typeof body.details === "string" ? body.details : ""}`;
    if (naming !== undefined && !naming.test(text))
      wrong.push(`body.error: expected ${naming}, got ${text.trim()}`);
    return wrong;
  };
}

/**
 * An answer with these rows, of which only these columns are looked at: rows([["date", "close"],
 * ["2024-…", 3], …]).
 */
export function rows([columns = [], ...expected]: Json[][]): Expectation {
  return (got) => {
    const data = isObject(got.body) ? got.body.data : undefined;
    if (got.status !== 200 || !Array.isArray(data)) return [`expected 200 and rows, got ${Bun.inspect(got)}`];
    const table = data.map((row) =>
      columns.map((column) => (isObject(row) ? (row[String(column)] ?? null) : null)),
    );
    return compareJson(expected, table, `body.data (${columns.join(", ")})`);
  };
}

export const noBars: Expectation = outcome({ status: 200, body: { message: "No data found", data: [] } });
export const noTicks: Expectation = outcome({
  status: 200,
  body: { message: "No realtime data found", data: [] },
});

export const saved: Expectation = (got) => {
  const message = isObject(got.body) ? String(got.body.message) : "";
  return got.status === 200 && message.endsWith(" saved successfully.")
    ? []
    : [`expected a save, got ${Bun.inspect(got)}`];
};

/** As recorded, but for the reason text of a close frame. */
export const sameCloseCode: Expectation = (got, { step, recorded }) =>
  compareOutcomes(recorded, got, {
    ...leniencyOf(step),
    ignored: ["reason", "frames_without_heartbeats[*].reason"],
  });

/** The server's close frame has this code; 1005 stands for none. */
export function closedWith(code: number): Expectation {
  return (got) => {
    const frames = got.frames_without_heartbeats;
    const last = Array.isArray(frames) ? frames.at(-1) : undefined;
    return compareJson(code, isObject(last) ? last.code : undefined, "code of the close frame");
  };
}

/** The one frame that a new subscriber gets, but for its stamps. */
export function initialPrice(symbol: string, price: number): Expectation {
  const timestamp = "2024-01-02T10:00:00.000Z";
  const data = {
    type: "initial_price",
    event_type: "initial_price_update",
    timestamp,
    payload: [{ price, timestamp }],
  };
  const volatile = ["frames[*].json.data.timestamp", "frames[*].json.data.payload[*].timestamp"];
  return (got) => compareOutcomes({ frames: [{ kind: "text", json: { symbol, data } }] }, got, { volatile });
}

/**
 * 204 to OPTIONS, 426 or 400 to a handshake that is none, else 405; with `Allow` where the method
 * is at fault.
 */
export const methodRefused: Expectation = (got, { step }) => {
  const method = step.request?.method ?? step.request?.raw?.split(" ")[0];
  const isHandshake = method === "GET" && step.request?.path?.startsWith("/ws") === true;
  if (isHandshake) return compareJson(true, got.status === 426 || got.status === 400, "426 or 400");
  return [
    ...compareJson(method === "OPTIONS" ? 204 : 405, got.status, "status"),
    ...compareJson(true, /[A-Z]/.test(String(got.allow ?? "")), `Allow (${got.allow})`),
  ];
};
