/** What the server has answered in place of an answer, in its own words. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  /** Of HTTP; 0: there was no answer. */
  readonly status: number;
  /** Seconds after which it may be asked again; null: it doesn't say. */
  readonly retryAfterS: number | null;

  constructor(message: string, status: number, retryAfterS: number | null = null) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What was given up by the page itself needs to be told to nobody. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
