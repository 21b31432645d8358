/** One test for each step of a transcript. The replay itself comes first, because steps build on each other. */
import { beforeAll, describe, expect, test } from "bun:test";
import { replay, type StepReport } from "./replay.ts";
import { loadTranscript, type TranscriptName } from "./transcript.ts";

const REPLAY_DEADLINE_MS = 120_000;

export async function describeTranscript(name: TranscriptName, workers = 1): Promise<void> {
  const steps = await loadTranscript(name);
  const reports = new Map<string, StepReport>();

  describe(`the recorded transcript ${name}, workers: ${workers}`, () => {
    beforeAll(async () => {
      for (const report of await replay(name, workers)) reports.set(report.step.id, report);
    }, REPLAY_DEADLINE_MS);

    for (const { id, about } of steps) {
      test(`${id}: ${about}`, () => expect(reports.get(id)?.differences).toEqual([]));
    }
  });
}
