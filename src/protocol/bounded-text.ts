/**
 * The body of another server's answer, which may be of any length and come at any pace.
 *
 * @throws Error it is longer, or the signal aborts.
 */
export async function boundedText(
  response: Response,
  bytesMax: number,
  signal: AbortSignal,
): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    signal.throwIfAborted();
    bytes += piece.length;
    if (bytes > bytesMax) throw new Error(`got more than ${bytesMax} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
