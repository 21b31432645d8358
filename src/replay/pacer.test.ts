import { expect, test } from "bun:test";
import { Pacer, type PacerClock } from "./pacer.ts";

/** Time passes only by sleeping, and each sleep takes a little longer than asked, as timers do. */
class SlowClock implements PacerClock {
  atMs = 1_000;
  readonly #lateMs: number;
  constructor(lateMs = 0) {
    this.#lateMs = lateMs;
  }
  nowMs(): number {
    return this.atMs;
  }
  async sleep(ms: number): Promise<void> {
    this.atMs += ms + this.#lateMs;
  }
}

const SECOND = 1e6;
const never = new AbortController().signal;

async function play(pacer: Pacer, clock: SlowClock, moments: number[]): Promise<number[]> {
  const playedMs: number[] = [];
  for (const moment of moments) {
    await pacer.until(pacer.schedule(moment), never);
    playedMs.push(clock.atMs - 1_000);
  }
  return playedMs;
}

test("the gaps are those of the stamps, divided by the speed", async () => {
  for (const speed of [1, 10, 0.5]) {
    const clock = new SlowClock();
    const pacer = new Pacer({ speed, clock });
    const played = await play(pacer, clock, [5 * SECOND, 6 * SECOND, 6 * SECOND, 9 * SECOND]);
    expect(played).toEqual([0, 1_000 / speed, 1_000 / speed, 4_000 / speed]);
  }
});

test("late timers don't add up", async () => {
  const clock = new SlowClock(3);
  const pacer = new Pacer({ speed: 1, clock });
  const moments = Array.from({ length: 1_001 }, (_, i) => i * 0.01 * SECOND);
  const played = await play(pacer, clock, moments);
  expect(played.at(-1)).toBeGreaterThanOrEqual(10_000);
  expect(played.at(-1)).toBeLessThan(10_004);
});

test("what is late is due at once, until the schedule is met again", async () => {
  const clock = new SlowClock();
  const pacer = new Pacer({ speed: 1, clock });
  await pacer.until(pacer.schedule(0), never);
  clock.atMs += 2_500;
  const due = pacer.schedule(SECOND);
  expect(pacer.behindMs(due)).toBe(1_500);
  expect(await play(pacer, clock, [SECOND, 2 * SECOND, 3 * SECOND])).toEqual([2_500, 2_500, 3_000]);
});

test("without a limit nothing is waited for", async () => {
  const clock = new SlowClock();
  const pacer = new Pacer({ speed: Number.POSITIVE_INFINITY, clock });
  expect(await play(pacer, clock, [0, 1e12, 2e15])).toEqual([0, 0, 0]);
  expect(pacer.positionMicros()).toBe(0);
});

test("a long gap is cut, and what follows keeps its rhythm", async () => {
  const clock = new SlowClock();
  const pacer = new Pacer({ speed: 2, clock, gapMicrosMax: 4 * SECOND });
  const night = 17 * 3_600 * SECOND;
  const played = await play(pacer, clock, [0, SECOND, night, night + 2 * SECOND]);
  expect(played).toEqual([0, 500, 2_500, 3_500]);
});

test("a wait of many days ends when the signal comes", async () => {
  const stop = new AbortController();
  const pacer = new Pacer({ speed: 1 });
  pacer.schedule(0);
  const waiting = pacer.until(pacer.schedule(90 * 86_400 * SECOND), stop.signal);
  stop.abort();
  await waiting;
});

test("the position goes on between two moments, and no further than the one that is due next", async () => {
  const clock = new SlowClock();
  const pacer = new Pacer({ speed: 10, clock });
  expect(pacer.positionMicros()).toBeNull();
  pacer.schedule(100 * SECOND);
  pacer.schedule(120 * SECOND);
  clock.atMs += 500;
  expect(pacer.positionMicros()).toBe(105 * SECOND);
  clock.atMs += 60_000;
  expect(pacer.positionMicros()).toBe(120 * SECOND);
});
