/** Spans of time in which bars have to be made anew. */

/** In µs since 1970, `until` exclusive. Infinite: unbounded. */
export interface TimeSpan {
  from: number;
  until: number;
}

export const ALL_TIME: TimeSpan = {
  from: Number.NEGATIVE_INFINITY,
  until: Number.POSITIVE_INFINITY,
};

export const DAY_MICROS = 86_400_000_000;

/** What more spans are joined to. */
const SPANS_MAX = 32;

/** Ascending, apart from each other, and few: where there are more, the nearest are joined. */
export function joinSpans(spans: readonly TimeSpan[]): TimeSpan[] {
  const joined: TimeSpan[] = [];
  for (const { from, until } of spans.filter((span) => span.from < span.until).sort(byFrom)) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last.until) last.until = Math.max(last.until, until);
    else joined.push({ from, until });
  }
  while (joined.length > SPANS_MAX) {
    let nearest = 1;
    for (let i = 2; i < joined.length; i++)
      if (gapBefore(joined, i) < gapBefore(joined, nearest)) nearest = i;
    joined[nearest - 1]!.until = joined[nearest]!.until;
    joined.splice(nearest, 1);
  }
  return joined;
}

/** What of the spans isn't before a moment; null: all. */
export function spansFrom(start: number | null, spans: readonly TimeSpan[]): TimeSpan[] {
  if (start === null) return [...spans];
  return spans
    .filter(({ until }) => until > start)
    .map(({ from, until }) => ({ from: Math.max(from, start), until }));
}

/** The begin of the day of a moment, in UTC. */
export function dayOf(micros: number): number {
  return Math.floor(micros / DAY_MICROS) * DAY_MICROS;
}

/** Whole buckets of a length, in µs. */
export function alignedTo(micros: number, { from, until }: TimeSpan): TimeSpan {
  return { from: Math.floor(from / micros) * micros, until: Math.ceil(until / micros) * micros };
}

function byFrom(a: TimeSpan, b: TimeSpan): number {
  return a.from === b.from ? 0 : a.from < b.from ? -1 : 1;
}

function gapBefore(spans: readonly TimeSpan[], index: number): number {
  return spans[index]!.from - spans[index - 1]!.until;
}
