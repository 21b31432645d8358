import { describeTranscript } from "./transcript-tests.ts";

await describeTranscript("bars");
