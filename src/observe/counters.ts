/** What one process has done since its start. Plain numbers, as every request raises them. */
export interface Counters {
  requests: number;
  /** Answers with status 400–499. */
  clientErrors: number;
  /** Answers with status 500 and above. */
  serverErrors: number;
  /** Saves answered with success, and their rows. */
  saves: number;
  rowsSaved: number;
  /** WebSocket frames, heartbeats too. One frame for all subscribers of a ticker counts once. */
  framesPublished: number;
  /** Open now; the only figure that also falls. */
  subscribers: number;
  /** From WebSocket clients. */
  messages: number;
  /** Closed because they didn't read. */
  subscribersCutOff: number;
  /** Updates that a newer one of their type stands for, as their client read slowly. */
  updatesFolded: number;
  /** Gaps that were told to one client each, as it read slowly. */
  slowGaps: number;
  /** Gaps that were told to all, as what they stand for is not kept. */
  lostGaps: number;
  sqlRuns: number;
  /** SQL runs stopped at --sql-timeout. */
  sqlTimeouts: number;
}

export function createCounters(): Counters {
  return {
    requests: 0,
    clientErrors: 0,
    serverErrors: 0,
    saves: 0,
    rowsSaved: 0,
    framesPublished: 0,
    subscribers: 0,
    messages: 0,
    subscribersCutOff: 0,
    updatesFolded: 0,
    slowGaps: 0,
    lostGaps: 0,
    sqlRuns: 0,
    sqlTimeouts: 0,
  };
}

export function countAnswer(counters: Counters, status: number): void {
  counters.requests++;
  if (status >= 500) counters.serverErrors++;
  else if (status >= 400) counters.clientErrors++;
}

export function snapshot(counters: Counters): Readonly<Counters> {
  return { ...counters };
}
