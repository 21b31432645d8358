/** Whether a client is a browser that opens a page: its `Accept` asks for HTML before all else. */

/** @param accept the header. Programs send none, or any type, or JSON. */
export function wantsHtml(accept: string | null): boolean {
  if (accept === null) return false;
  let best = { type: "", weight: 0 };
  for (const part of accept.toLowerCase().split(",")) {
    const [type = "", ...params] = part.split(";").map((text) => text.trim());
    const q = params.find((text) => text.startsWith("q="))?.slice(2);
    const weight = q === undefined ? 1 : Number(q);
    if (weight > best.weight) best = { type, weight };
  }
  return best.type === "text/html";
}
