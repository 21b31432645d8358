/**
 * Whether what the server did with a step is what it should do: as recorded, or as deviations.ts
 * says.
 */
import type { Outcome } from "./compare.ts";
import { ANSWERS_DESPITE_BUGS, BUG_RULES, DEVIATIONS } from "./deviations.ts";
import { asRecorded, type Context } from "./expectations.ts";
import type { Step } from "./transcript.ts";

/** Nothing if all is well, else what is wrong in words. */
export function judge(got: Outcome, context: Context): string[] {
  const { step } = context;
  const wrong = differences(got, context);
  // No request of a transcript may make the server stumble, whatever is expected of it.
  if (got.status === 500) wrong.push(`status: 500 is a bug of the server: ${Bun.inspect(got.body)}`);
  return wrong.length === 0 || step.bugs === undefined
    ? wrong
    : [`(bugs: ${step.bugs.join(", ")})`, ...wrong];
}

function differences(got: Outcome, context: Context): string[] {
  const { step } = context;
  if (step.bugs !== undefined) {
    const right = ANSWERS_DESPITE_BUGS.get(step.id);
    if (right !== undefined) return right(got, context);
    return step.bugs.flatMap((tag) => {
      const rule = BUG_RULES[tag];
      return rule === undefined
        ? [`deviations.ts has no rule for the bug ${tag}`]
        : rule.expect(got, context);
    });
  }
  const asIs = asRecorded(got, context);
  const deviation = DEVIATIONS.find(({ steps }) => steps.includes(step.id));
  if (deviation === undefined) return asIs;
  if (asIs.length > 0) return deviation.expect(got, context);
  return [`listed in deviations.ts, but answered as recorded: ${deviation.reason}`];
}

/** Entries of deviations.ts that no step is judged by. */
export function findStrayEntries(transcripts: Step[][]): string[] {
  const steps = transcripts.flat();
  const sound = steps.filter(({ bugs }) => bugs === undefined).map(({ id }) => id);
  const faulty = steps.filter(({ bugs }) => bugs !== undefined).map(({ id }) => id);
  const listed = DEVIATIONS.flatMap((deviation) => deviation.steps);
  return [
    ...listed.filter((id) => !sound.includes(id)).map((id) => `${id}: no such step without a bug`),
    ...listed.filter((id, i) => listed.indexOf(id) !== i).map((id) => `${id}: listed twice`),
    ...[...ANSWERS_DESPITE_BUGS.keys()]
      .filter((id) => !faulty.includes(id))
      .map((id) => `${id}: no such step with a bug`),
    ...Object.keys(BUG_RULES)
      .filter((tag) => !steps.some(({ bugs }) => bugs?.includes(tag)))
      .map((tag) => `${tag}: no step has this bug`),
  ];
}
