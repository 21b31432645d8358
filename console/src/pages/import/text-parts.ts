/** A text in parts that a request may have, each of whole rows. */

export interface TextPart {
  body: string;
  /** Of its first row in the file, from 1. */
  firstRow: number;
}

/** @param header Is before the rows of each part: the names of CSV. */
export async function* textParts(
  text: ReadableStream<string>,
  { hasHeader, characters }: { hasHeader: boolean; characters: number },
): AsyncGenerator<TextPart, void, undefined> {
  let header = "";
  let waiting = "";
  let isHeaderRead = !hasHeader;
  let firstRow = 1;
  const reader = text.getReader();
  for (let isOver = false; !isOver; ) {
    const { done, value } = await reader.read();
    isOver = done;
    waiting += value ?? "";
    if (!isHeaderRead) {
      const end = waiting.indexOf("\n");
      if (end < 0 && !isOver) continue;
      header = end < 0 ? waiting : waiting.slice(0, end + 1);
      waiting = end < 0 ? "" : waiting.slice(end + 1);
      isHeaderRead = true;
    }
    while (waiting.length >= characters) {
      const end = endOfRow(waiting, characters);
      if (end === 0) break;
      const rows = waiting.slice(0, end);
      yield { body: header + rows, firstRow };
      firstRow += rowsIn(rows);
      waiting = waiting.slice(end);
    }
  }
  if (waiting.trim() !== "") yield { body: header + waiting, firstRow };
}

/** Behind the last line end that is in no quotes; 0: there is none. */
function endOfRow(text: string, characters: number): number {
  for (let end = text.lastIndexOf("\n", characters) + 1; end > 0; end = text.lastIndexOf("\n", end - 2) + 1)
    if (quotesIn(text, end) % 2 === 0) return end;
  return 0;
}

function quotesIn(text: string, end: number): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0 && at < end; at = text.indexOf('"', at + 1)) count++;
  return count;
}

function rowsIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
