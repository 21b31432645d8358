import type { Carrier, Link, LinkEvents } from "./carrier.ts";
import { inTime } from "./in-time.ts";

export const CONNECT_TIMEOUT_MS = 5_000;
/** Long enough for a broker that is slow, short enough to notice one that is gone. */
export const PROBE_TIMEOUT_MS = 3_000;
export const LINK_CLOSE_TIMEOUT_MS = 1_000;
const REASON_CHARACTERS_MAX = 300;

/** @throws Error Its message holds no password. */
export async function openLink(carrier: Carrier, channel: string, events: LinkEvents): Promise<Link> {
  const opening = carrier.open(channel, events);
  let late = false;
  opening.then(
    (link) => void (late && link.close().catch(() => undefined)),
    () => undefined,
  );
  try {
    return await inTime(opening, CONNECT_TIMEOUT_MS, "no answer");
  } catch (error) {
    late = true;
    throw new Error(reasonOf(error, carrier));
  }
}

/** @returns one line without the carrier's secrets. */
export function reasonOf(error: unknown, { secrets }: Carrier): string {
  let text = textOf(error);
  for (const secret of secrets) if (secret !== "") text = text.replaceAll(secret, "***");
  return (text.split("\n", 1)[0] ?? "").slice(0, REASON_CHARACTERS_MAX);
}

function textOf(error: unknown): string {
  // A name with several addresses, all of which refuse.
  if (error instanceof AggregateError && error.errors.length > 0) return textOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.message === "" ? error.name : error.message;
}
