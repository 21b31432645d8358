/** Spans of time in which bars have to be made anew. */

/** In µs since 1970, `until` exclusive. Infinite: unbounded. */
export interface Span {
  from: number;
  until: number;
}

export const ALL_TIME: Span = {
  from: Number.NEGATIVE_INFINITY,
  until: Number.POSITIVE_INFINITY,
};

/** What more spans are joined to. */
const SPANS_MAX = 32;

/** Ascending, apart from each other, and few: where there are more, the nearest are joined. */
export function joinSpans(spans: readonly Span[]): Span[] {
  const joined: Span[] = [];
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

/** Whole buckets of a length, in µs. */
export function alignedTo(micros: number, { from, until }: Span): Span {
  return { from: Math.floor(from / micros) * micros, until: Math.ceil(until / micros) * micros };
}

function byFrom(a: Span, b: Span): number {
  return a.from === b.from ? 0 : a.from < b.from ? -1 : 1;
}

function gapBefore(spans: readonly Span[], index: number): number {
  return spans[index]!.from - spans[index - 1]!.until;
}
