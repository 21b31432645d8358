/** Why an exchange failed, in words for the users of this server. */

const NO_HTTP = "what answers there doesn't speak HTTP";
const BADLY_PACKED = "the answer is packed wrongly, or ends too early";
const TEXTS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was closed",
  ENOTFOUND: "unknown host",
  Malformed_HTTP_Response: NO_HTTP,
  InvalidHTTPResponse: NO_HTTP,
  ZlibError: BADLY_PACKED,
  BrotliDecompressionError: BADLY_PACKED,
  ZstdDecompressionError: BADLY_PACKED,
};
/** How to turn on Bun's tracing. */
const ADVICE = /\s*For more information, pass .*$/s;

export function lossReason(error: unknown): string {
  const { code, message = String(error) } = error as { code?: string; message?: string };
  return (code === undefined ? undefined : TEXTS[code]) ?? message.replace(ADVICE, "");
}
