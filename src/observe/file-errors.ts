import { messageOf } from "../protocol/message-of.ts";

/**
 * The system's name for a failure (EPIPE, ENOENT); for an error that isn't the system's, its
 * message.
 */
export function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return messageOf(error);
}

/** For `catch`: a file that isn't there is an answer; any other failure stays one. */
export function nullIfAbsent(error: unknown): null {
  if (errorCode(error) === "ENOENT") return null;
  throw error;
}
