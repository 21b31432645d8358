/** One test for each step of a transcript. The replay itself comes first, because steps build on each other. */
import { beforeAll, describe, expect, test } from "bun:test";
import { replay, type StepReport } from "./replay.ts";
import { loadTranscript, type TranscriptName } from "./transcript.ts";

const REPLAY_DEADLINE_MS = 120_000;

/** The one difference of a server in front of another. */
const FRONT = 'body.database.db_type: expected "sqlite", got "remote"';

export async function describeTranscript(name: TranscriptName, workers = 1, tiers: 1 | 2 = 1): Promise<void> {
  const steps = await loadTranscript(name);
  const reports = new Map<string, StepReport>();

  describe(`the recorded transcript ${name}, workers: ${workers}, tiers: ${tiers}`, () => {
    beforeAll(async () => {
      for (const report of await replay(name, workers, tiers)) reports.set(report.step.id, report);
    }, REPLAY_DEADLINE_MS);

    for (const { id, about } of steps) {
      test(`${id}: ${about}`, () => {
        const differences = reports.get(id)?.differences;
        expect(differences?.filter((difference) => tiers === 1 || difference !== FRONT)).toEqual([]);
      });
    }
  });
}
