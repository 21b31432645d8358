/** A server in front of another answers as that one does. */
import { FRONT } from "./backends.ts";
import { describeTranscript } from "./transcript-tests.ts";

for (const name of ["bars", "ticks", "errors", "http", "indicators", "other"] as const) {
  await describeTranscript(name, { backend: FRONT });
}
await describeTranscript("ws", { workers: 2, backend: FRONT });
