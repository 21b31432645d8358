/** Rows as lines of JSON, read while they come. */

const LINE_END = 10;

/** @param alive Is called for each piece that comes. */
export async function readRows(answer: Response, alive: () => void): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  const decoder = new TextDecoder();
  // A piece ends anywhere: what has no end of its line yet waits for the next.
  let rest = "";
  await eachPiece(answer, (bytes) => {
    alive();
    const end = bytes.lastIndexOf(LINE_END) + 1;
    if (end === 0) {
      rest += decoder.decode(bytes, { stream: true });
      return;
    }
    take(rest + decoder.decode(bytes.subarray(0, end), { stream: true }));
    rest = decoder.decode(bytes.subarray(end), { stream: true });
  });
  if (rest !== "") take(`${rest}\n`);
  return rows;

  /** Many lines at once are parsed faster than one by one. */
  function take(lines: string): void {
    for (const row of JSON.parse(`[${lines.slice(0, -1).replaceAll("\n", ",")}]`)) rows.push(row);
  }
}

/** Not every platform can iterate a body. */
async function eachPiece(answer: Response, take: (bytes: Uint8Array) => void): Promise<void> {
  const reader = answer.body!.getReader();
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) take(piece.value);
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    throw error;
  }
}
