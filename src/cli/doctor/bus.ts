import { tryBus } from "../../bus/bus.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { Finding } from "../../storage/diagnosis.ts";

export async function* diagnoseBus(url: string, dbFile: string): AsyncGenerator<Finding> {
  const subject = "bus";
  try {
    const shown = await tryBus({ url, dbFile });
    yield { level: "ok", subject, finding: `a message went to ${shown} and came back` };
  } catch (error) {
    yield {
      level: "fail",
      subject,
      finding: messageOf(error),
      advice:
        "see that the broker runs and lets this user publish and subscribe; without it the server starts all the same, but updates of other servers come late",
    };
  }
}
