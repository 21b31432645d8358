/**
 * The routes of /v1, and the pages that describe them. What answers them is loaded with the first
 * request: the schemas of all parameters cost every start of a worker a fifth of its time.
 */
import { jsonResponse } from "../responses.ts";
import type { Route } from "../route.ts";
import { CONNECTIONS_PATH, V1_PATHS, type V1Path } from "./v1-paths.ts";

const READ = ["GET", "HEAD"];

export const V1_ROUTES: readonly Route[] = [
  ...(Object.keys(V1_PATHS) as V1Path[]).map(
    (path): Route => ({
      paths: [path],
      methods: ["GET", "HEAD", "POST"],
      scope: "own",
      shown: V1_PATHS[path] === null ? "GET" : "GET, POST",
      // Any page can make a browser send a GET.
      isReachableByPages: true,
      async answer(call) {
        const { answerQuestion } = await import("./answer-question.ts");
        return answerQuestion(path, call);
      },
    }),
  ),
  {
    paths: [CONNECTIONS_PATH],
    methods: READ,
    scope: "admin",
    shown: "GET",
    isReachableByPages: true,
    async answer(call) {
      const { listConnections } = await import("./connections.ts");
      return listConnections(call);
    },
  },
  {
    paths: [],
    prefixes: [`${CONNECTIONS_PATH}/`],
    methods: ["DELETE"],
    scope: "admin",
    isReachableByPages: true,
    async answer(call) {
      const { endConnection } = await import("./connections.ts");
      return endConnection(call);
    },
  },
  {
    paths: ["/openapi.json"],
    methods: READ,
    scope: "none",
    shown: "GET",
    async answer() {
      const { openApi } = await import("./openapi.ts");
      return jsonResponse(openApi(), 200);
    },
  },
  {
    paths: ["/docs"],
    methods: READ,
    scope: "none",
    shown: "GET",
    async answer() {
      const { docsPage } = await import("./docs-page.ts");
      return docsPage();
    },
  },
];
