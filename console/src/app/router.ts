/**
 * Which page is shown. The address is behind the `#`, which browsers keep to themselves: so neither
 * a ticker nor a statement gets into anybody's access log.
 */
import { signal } from "@preact/signals";

export interface Place {
  page: string;
  params: URLSearchParams;
}

export const place = signal<Place>(read());

addEventListener("hashchange", () => {
  place.value = read();
});

/** `#/chart?symbols=AAPL`. Parameters that are empty are left out. */
export function linkTo(page: string, params: Record<string, string | undefined> = {}): string {
  const given = Object.entries(params).filter((entry): entry is [string, string] => !!entry[1]);
  const query = new URLSearchParams(given).toString();
  return `#/${page}${query === "" ? "" : `?${query}`}`;
}

export function goTo(page: string, params: Record<string, string | undefined> = {}): void {
  location.hash = linkTo(page, params);
}

/** Changes parameters of the page that is shown, without another step for the button "back". */
export function setParams(changes: Record<string, string | undefined>): void {
  const { page, params } = place.peek();
  const link = linkTo(page, { ...Object.fromEntries(params), ...changes });
  history.replaceState(null, "", link);
  place.value = read();
}

function read(): Place {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { page: path, params: new URLSearchParams(query) };
}
