/** Merges ordered streams into one ordered stream. */

export interface Timed {
  /** Microseconds since 1970. */
  atMicros: number;
}

interface Head<T> {
  iterator: AsyncIterator<T[]>;
  /** Index of the source: at equal times, the earlier source comes first. */
  index: number;
  batch: T[];
  next: number;
}

/**
 * Holds one batch of each source in memory.
 *
 * @param sources each ascending, in batches that may be empty. All are closed at the end, also
 *   after an error or an early stop.
 */
export async function* mergeByTime<T extends Timed>(
  sources: readonly AsyncIterable<T[]>[],
): AsyncGenerator<T> {
  const opened = sources.map((source) => source[Symbol.asyncIterator]());
  /** A binary heap, the earliest first. */
  const heap: Head<T>[] = [];
  try {
    for (const [index, iterator] of opened.entries()) {
      const head: Head<T> = { iterator, index, batch: [], next: 0 };
      if (!(await refill(head))) continue;
      heap.push(head);
      siftUp(heap);
    }
    for (let head = heap[0]; head !== undefined; head = heap[0]) {
      yield head.batch[head.next++]!;
      if (head.next === head.batch.length && !(await refill(head))) {
        const last = heap.pop()!;
        if (last === head) continue;
        heap[0] = last;
      }
      siftDown(heap);
    }
  } finally {
    for (const iterator of opened) await iterator.return?.();
  }
}

/** @returns whether the source had more. */
async function refill<T>(head: Head<T>): Promise<boolean> {
  for (;;) {
    const { done, value } = await head.iterator.next();
    if (done) return false;
    if (value.length === 0) continue;
    head.batch = value;
    head.next = 0;
    return true;
  }
}

function siftUp<T extends Timed>(heap: Head<T>[]): void {
  for (let at = heap.length - 1; at > 0; ) {
    const parent = (at - 1) >> 1;
    if (!isEarlier(heap[at]!, heap[parent]!)) return;
    swap(heap, at, parent);
    at = parent;
  }
}

function siftDown<T extends Timed>(heap: Head<T>[]): void {
  for (let at = 0; ; ) {
    let first = 2 * at + 1;
    if (first >= heap.length) return;
    if (first + 1 < heap.length && isEarlier(heap[first + 1]!, heap[first]!)) first++;
    if (!isEarlier(heap[first]!, heap[at]!)) return;
    swap(heap, at, first);
    at = first;
  }
}

function isEarlier<T extends Timed>(a: Head<T>, b: Head<T>): boolean {
  const difference = a.batch[a.next]!.atMicros - b.batch[b.next]!.atMicros;
  return difference === 0 ? a.index < b.index : difference < 0;
}

function swap<T>(heap: Head<T>[], a: number, b: number): void {
  [heap[a], heap[b]] = [heap[b]!, heap[a]!];
}
