/** A readable page of the description of /v1. It needs no script, and asks nobody for anything. */
import { createHash } from "node:crypto";
import { measured } from "../responses.ts";
import { type OpenApiParameter, openApi } from "./openapi.ts";

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-family: ui-monospace, monospace; font-size: 1.1rem; margin: 2.5rem 0 0.25rem; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.6rem; border-top: 1px solid #8884; }
td:first-child { font-family: ui-monospace, monospace; white-space: nowrap; }
input, button { font: inherit; } input { width: 11rem; }
`;

let page: string | null = null;

const HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": [
    "default-src 'none'",
    `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "same-origin",
};

export function docsPage(): Response {
  page ??= html();
  return measured(new Response(page, { headers: HEADERS }), page);
}

function html(): string {
  const { paths } = openApi();
  const readable = Object.entries(paths).flatMap(([path, { get }]) =>
    get === undefined ? [] : [{ path, get }],
  );
  const sections = readable.map(
    ({ path, get }) => `<section>
<h2>GET ${escaped(path)}</h2>
<p>${escaped(get.summary)}. As POST it takes the same parameters as a JSON object.</p>
<form action="${escaped(path)}" method="get">
<table><tr><th>Parameter<th>Value<th>Meaning</tr>
${get.parameters!.map(rowOf).join("\n")}
</table>
<button>GET ${escaped(path)}</button>
</form>
</section>`,
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Stock DB Server: market data</title><style>${STYLE}</style>
<h1>Market data</h1>
<p>For programs there is <a href="/openapi.json">openapi.json</a>. A parameter without a value means
nothing.</p>
${sections.join("\n")}
</html>
`;
}

function rowOf({ name, required, description, example }: OpenApiParameter): string {
  const value = example === undefined ? "" : Array.isArray(example) ? example.join(",") : String(example);
  const hint = value === "" ? "" : ` placeholder="${escaped(value)}"`;
  const [star, attribute] = required ? [" *", " required"] : ["", ""];
  const input = `<input name="${name}" aria-label="${name}"${attribute}${hint}>`;
  return `<tr><td>${name}${star}<td>${input}<td>${escaped(description)}</tr>`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
