import { messageOf } from "../protocol/message-of.ts";

/** @returns the system's name of a failure (EPIPE, ENOENT), or the message of another error. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return messageOf(error);
}

/** For `catch`: a missing file gives null, other failures are rethrown. */
export function nullIfAbsent(error: unknown): null {
  if (errorCode(error) === "ENOENT") return null;
  throw error;
}
