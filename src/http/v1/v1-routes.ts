/** The routes of /v1, and the pages that describe them. */
import { readParameters as readChecked } from "../../commands/questions/parameters.ts";
import { jsonResponse } from "../responses.ts";
import type { Route } from "../route.ts";
import { docsPage } from "./docs-page.ts";
import { openApi } from "./openapi.ts";
import { DOORS } from "./v1-doors.ts";
import { readParameters } from "./v1-request.ts";

const READ = ["GET", "HEAD"];

export const V1_ROUTES: readonly Route[] = [
  ...DOORS.map(
    ({ path, parameters, answer }): Route => ({
      paths: [path],
      methods: ["GET", "HEAD", "POST"],
      shown: "GET",
      // Any page can make a browser send a GET.
      isReachableByPages: true,
      answer: async (call) =>
        answer(call, readChecked(path, parameters, await readParameters(call)) as never),
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
