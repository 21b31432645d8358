/** A server in front of another answers as that one does. */
import { describeTranscript } from "./transcript-tests.ts";

for (const name of ["bars", "ticks", "errors", "http", "indicators"] as const) {
  await describeTranscript(name, 1, 2);
}
await describeTranscript("ws", 2, 2);
