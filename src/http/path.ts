/** @param url A request target. Bun leaves it relative for a missing or bad Host. */
export function splitTarget(url: string): { path: string; query: string } {
  // The query of a relative target may hold a URL.
  const scheme = url.startsWith("/") ? -1 : url.indexOf("://");
  // Some clients wrongly send a fragment.
  const hash = url.indexOf("#");
  if (hash >= 0) url = url.slice(0, hash);
  const start = scheme < 0 ? 0 : url.indexOf("/", scheme + 3);
  if (start < 0) return { path: "/", query: "" };
  const mark = url.indexOf("?", start);
  const raw = mark < 0 ? url.slice(start) : url.slice(start, mark);
  return { path: raw.includes("%") ? decode(raw) : raw, query: mark < 0 ? "" : url.slice(mark + 1) };
}

function decode(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw; // not a route whatever it was meant to be
  }
}
