import { describeTranscript } from "./transcript-tests.ts";

await describeTranscript("ws");
// A save and its subscribers meet in different processes here.
await describeTranscript("ws", { workers: 2 });
