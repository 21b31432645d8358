/**
 * One test for each step of a transcript. The replay itself comes first, because steps build on
 * each other.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Backend, SQLITE } from "./backends.ts";
import { replay, type StepReport } from "./replay.ts";
import { loadTranscript, type Step, type TranscriptName } from "./transcript.ts";

interface TranscriptOptions {
  workers?: number;
  backend?: Backend;
  differs?(step: Step): boolean;
}

const REPLAY_DEADLINE_MS = 120_000;

/**
 * @param differs whether a step may be answered differently on this backend, besides the engine's
 *   name.
 */
export async function describeTranscript(
  name: TranscriptName,
  { workers = 1, backend = SQLITE, differs = () => false }: TranscriptOptions = {},
): Promise<void> {
  const engine = `body.database.db_type: expected "sqlite", got "${backend.engine}"`;
  const steps = await loadTranscript(name);
  const reports = new Map<string, StepReport>();

  describe(`the recorded transcript ${name}, workers: ${workers}, on ${backend.name}`, () => {
    beforeAll(async () => {
      for (const report of await replay(name, workers, backend)) reports.set(report.step.id, report);
    }, REPLAY_DEADLINE_MS);

    for (const step of steps) {
      const { id, about } = step;
      test(`${id}: ${about}`, () => {
        const differences = reports.get(id)?.differences;
        expect(differences?.filter((difference) => difference !== engine && !differs(step))).toEqual([]);
      });
    }
  });
}
