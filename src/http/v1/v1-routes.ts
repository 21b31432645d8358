/** The routes of /v1, and the pages that describe them. */
import { readParameters as readChecked } from "../../commands/questions/parameters.ts";
import { jsonResponse } from "../responses.ts";
import type { Route } from "../route.ts";
import { docsPage } from "./docs-page.ts";
import { openApi } from "./openapi.ts";
import { DOORS, type Door } from "./v1-doors.ts";
import { readParameters } from "./v1-request.ts";
import { answerPosted } from "./v1-write.ts";

const READ = ["GET", "HEAD"];

export const V1_ROUTES: readonly Route[] = [
  ...DOORS.map(
    (door): Route => ({
      paths: [door.path],
      methods: ["GET", "HEAD", "POST"],
      shown: door.writes === undefined ? "GET" : "GET, POST",
      // Any page can make a browser send a GET.
      isReachableByPages: true,
      answer: answerOf(door),
    }),
  ),
  {
    paths: ["/openapi.json"],
    methods: READ,
    shown: "GET",
    answer: async () => jsonResponse(openApi(), 200),
  },
  { paths: ["/docs"], methods: READ, shown: "GET", answer: async () => docsPage() },
];

function answerOf({ path, parameters, writes, answer }: Door): Route["answer"] {
  return async (call) => {
    const ask = (asked: Record<string, unknown>) =>
      answer(call, readChecked(path, parameters, asked) as never);
    const isPost = call.request.method === "POST";
    if (writes !== undefined && isPost) return answerPosted(call, writes, async (asked) => ask(asked));
    return ask(await readParameters(call));
  };
}
