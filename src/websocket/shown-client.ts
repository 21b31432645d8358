/** A client of live updates as a list of connections shows it. */
import type { OpenConnection } from "../connections/connection.ts";
import type { SocketClient } from "./socket-client.ts";

export interface ShownSocket extends Omit<OpenConnection, "rank" | "details"> {
  /** Of what is written to, beside what waits in the client. */
  bufferedBytes: number;
  /** By `performance.now()`: since when it has read nothing of what waits; 0 when nothing waits. */
  stalledMs: number;
}

export function shownClient(
  client: Pick<SocketClient, "figures" | "details">,
  { bufferedBytes, stalledMs, ...rest }: ShownSocket,
): OpenConnection {
  return {
    ...rest,
    rank() {
      const { waitedMs, queueBytes } = client.figures();
      const stalledForMs = stalledMs === 0 ? 0 : performance.now() - stalledMs;
      return { lagS: Math.max(waitedMs, stalledForMs) / 1_000, queueBytes: queueBytes + bufferedBytes };
    },
    details() {
      const { subscriptions, policy, queue, folded, gaps } = client.figures();
      return { subscriptions, ...client.details(), policy, queue, folded, gaps };
    },
  };
}
