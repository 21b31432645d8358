/** Where the console is, and who is led to it. */
import { STATUS } from "../../protocol/codes.ts";
import type { Call } from "../call.ts";
import { jsonResponse } from "../responses.ts";
import type { Route } from "../route.ts";
import { consoleFile, consolePage } from "./console-answers.ts";
import { CONSOLE_PREFIX } from "./console-files.ts";
import { wantsHtml } from "./wants-html.ts";

const READ = ["GET", "HEAD"];
const FOUND = 302;

export const CONSOLE_ROUTES: readonly Route[] = [
  {
    paths: ["/console"],
    methods: READ,
    scope: "none",
    shown: "GET",
    answer: async () => consolePage(),
  },
  {
    paths: [],
    prefixes: [CONSOLE_PREFIX],
    methods: READ,
    scope: "none",
    async answer(call) {
      if (call.path === CONSOLE_PREFIX) return redirect("../console");
      return consoleFile(call) ?? noSuchFile(call);
    },
  },
];

/**
 * A browser that opens the server's address gets the console; a program gets what it always got.
 * @returns null: it isn't a browser.
 */
export function toConsole({ request }: Call): Response | null {
  const { method, headers } = request;
  if (method !== "GET" && method !== "HEAD") return null;
  // Relative: a proxy may serve this server below a path of its own.
  return wantsHtml(headers.get("accept")) ? redirect("console") : null;
}

function redirect(location: string): Response {
  const headers = { Location: location, "Cache-Control": "no-store", Vary: "Accept" };
  return new Response(null, { status: FOUND, headers });
}

function noSuchFile({ path }: Call): Response {
  const message = `${path}: the console has no such file; load the page again after an upgrade`;
  return jsonResponse({ error: "Not Found", message }, STATUS.notFound);
}
