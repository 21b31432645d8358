import { describeTranscript } from "./transcript-tests.ts";

await describeTranscript("ws");
