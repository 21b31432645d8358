/** Whether an exchange is open at a moment. */
import { openSessions, type Sessions } from "./sessions.ts";

const DAY_MS = 86_400_000;

export class OpenHours {
  readonly #sessions: Sessions;

  /** @param session null: the regular one. @throws CalendarError */
  constructor({ calendar, session }: { calendar: string; session: string | null }) {
    this.#sessions = openSessions({ calendar, session });
  }

  /** False in a break. */
  isOpen(atMs: number): boolean {
    const day = Math.floor(atMs / DAY_MS);
    // A session may begin on the evening before its date, in any time zone, or end after it.
    for (let date = day - 1; date <= day + 1; date++) {
      const parts = this.#sessions.on(date)?.parts ?? [];
      for (let i = 0; i < parts.length; i += 2)
        if (atMs * 1_000 >= parts[i]! && atMs * 1_000 < parts[i + 1]!) return true;
    }
    return false;
  }
}
