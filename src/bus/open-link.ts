/** One try to connect to the broker, bounded in time, with a reason that may be logged. */
import type { Carrier, Link, LinkEvents } from "./carrier.ts";
import { inTime } from "./in-time.ts";

export const CONNECT_TIMEOUT_MS = 5_000;
/** Between two messages that a broker takes a moment for, and a broker that is gone. */
export const PROBE_TIMEOUT_MS = 3_000;
export const LINK_CLOSE_TIMEOUT_MS = 1_000;
const REASON_CHARACTERS_MAX = 300;

/** @throws Error Its message holds no password. */
export async function openLink(carrier: Carrier, channel: string, events: LinkEvents): Promise<Link> {
  const opening = carrier.open(channel, events);
  let late = false;
  opening.then(
    (link) => void (late && link.close().catch(() => undefined)),
    // Reported below, or too late for anybody.
    () => undefined,
  );
  try {
    return await inTime(opening, CONNECT_TIMEOUT_MS, "no answer");
  } catch (error) {
    late = true;
    throw new Error(reasonOf(error, carrier));
  }
}

/** One line, without the carrier's secrets. */
export function reasonOf(error: unknown, { secrets }: Carrier): string {
  let text = textOf(error);
  for (const secret of secrets) if (secret !== "") text = text.replaceAll(secret, "***");
  return (text.split("\n", 1)[0] ?? "").slice(0, REASON_CHARACTERS_MAX);
}

function textOf(error: unknown): string {
  // A name with several addresses that all refuse.
  if (error instanceof AggregateError && error.errors.length > 0) return textOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.message === "" ? error.name : error.message;
}
