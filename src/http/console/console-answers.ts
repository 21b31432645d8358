/**
 * The console's page and files. They are the same for everybody and hold no data, so they need no
 * key: what somebody sees in them comes by the other doors, with the key that is typed in there.
 */
import { randomBytes } from "node:crypto";
import { STATUS } from "../../protocol/codes.ts";
import type { Call } from "../call.ts";
import { bestCoding } from "../content-coding.ts";
import { measured } from "../responses.ts";
import { CONSOLE_PREFIX, type ConsoleFile, consoleFiles } from "./console-files.ts";

const NONCE_BYTES = 16;
const HTML = "text/html; charset=utf-8";
const HASHED = /-[\w-]{8}\.\w+$/;
/** A year, in seconds: a file whose name has the hash of its content never changes. */
const FOR_EVER = "public, max-age=31536000, immutable";

const SAME_FOR_ALL = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
};

const NOT_BUILT = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The console isn't built</title>
<h1>The console isn't built</h1>
<p>The server runs, and answers programs. The files of this page aren't there: <code>npm ci</code>
makes them, unless it was told to leave out development packages or scripts. In the folder of the
server, run</p>
<pre>npm ci --include=dev
npm run build:console</pre>
<p>and load this page again. <a href="docs">What the server can be asked</a> needs no build.</p>
</html>
`;

export function consolePage(): Response {
  const built = consoleFiles();
  if (built === null) return notBuilt();
  const nonce = randomBytes(NONCE_BYTES).toString("base64");
  const page = built.page.replaceAll("NONCE", nonce);
  const headers = {
    ...SAME_FOR_ALL,
    "Content-Type": HTML,
    "Content-Security-Policy": policyWith(nonce),
    // Each answer has a nonce of its own.
    "Cache-Control": "no-store",
  };
  return measured(new Response(page, { headers }), page);
}

/** @returns null: there is no such file. */
export function consoleFile({ path, request }: Pick<Call, "path" | "request">): Response | null {
  const file = consoleFiles()?.files.get(path.slice(CONSOLE_PREFIX.length));
  if (file === undefined) return null;
  const { body, coding } = packedFor(request.headers.get("accept-encoding"), file);
  const headers = {
    ...SAME_FOR_ALL,
    "Content-Type": file.type,
    "Cache-Control": HASHED.test(path) ? FOR_EVER : "no-cache",
    Vary: "Accept-Encoding",
    ...(coding === null ? {} : { "Content-Encoding": coding }),
  };
  return measured(new Response(body, { headers }), body);
}

function packedFor(accepted: string | null, { plain, packed }: ConsoleFile) {
  const coding = bestCoding(accepted, ["br", "gzip"]);
  const body = coding === null ? undefined : packed[coding];
  return body === undefined ? { body: plain, coding: null } : { body, coding };
}

/**
 * No other host, no script but the page's own files. The nonce is for the style sheets that the
 * chart and the editor make while they run.
 */
function policyWith(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

function notBuilt(): Response {
  const headers = {
    ...SAME_FOR_ALL,
    "Content-Type": HTML,
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
  };
  return measured(new Response(NOT_BUILT, { status: STATUS.unavailable, headers }), NOT_BUILT);
}
