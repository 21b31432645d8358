/** Why an exchange failed, in words for the users of this server. */

const TEXTS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was closed",
  ENOTFOUND: "unknown host",
  Malformed_HTTP_Response: "what answers there doesn't speak HTTP",
  InvalidHTTPResponse: "what answers there doesn't speak HTTP",
  ZlibError: "the answer is packed wrongly, or ends too early",
  BrotliDecompressionError: "the answer is packed wrongly, or ends too early",
  ZstdDecompressionError: "the answer is packed wrongly, or ends too early",
};
/** To turn on Bun's tracing. */
const ADVICE = /\s*For more information, pass .*$/s;

export function lossReason(error: unknown): string {
  const { code, message = String(error) } = error as { code?: string; message?: string };
  return (code === undefined ? undefined : TEXTS[code]) ?? message.replace(ADVICE, "");
}
