/**
 * The pages: each has a folder in `pages/`, whose `index.tsx` exports its component as default, and
 * a line here. What a page needs is loaded when somebody goes there.
 */
import type { ComponentType } from "preact";

export interface PageProps {
  /** Of the address, behind the question mark. */
  params: URLSearchParams;
}

export interface Page {
  name: string;
  title: string;
  /** Goes there, after a `g`. */
  letter: string;
  load(): Promise<{ default: ComponentType<PageProps> }>;
}

export const PAGES: readonly [Page, ...Page[]] = [
  { name: "tickers", title: "Tickers", letter: "t", load: () => import("../pages/tickers/index.tsx") },
  { name: "chart", title: "Chart", letter: "c", load: () => import("../pages/chart/index.tsx") },
  { name: "options", title: "Options", letter: "o", load: () => import("../pages/options/index.tsx") },
  {
    name: "actions",
    title: "Corporate actions",
    letter: "a",
    load: () => import("../pages/actions/index.tsx"),
  },
  {
    name: "financials",
    title: "Financials",
    letter: "f",
    load: () => import("../pages/financials/index.tsx"),
  },
  { name: "sql", title: "SQL", letter: "s", load: () => import("../pages/sql/index.tsx") },
  {
    name: "import",
    title: "Import and export",
    letter: "i",
    load: () => import("../pages/import/index.tsx"),
  },
  {
    name: "operations",
    title: "Operations",
    letter: "p",
    load: () => import("../pages/operations/index.tsx"),
  },
];

export function pageNamed(name: string): Page | undefined {
  return PAGES.find((page) => page.name === name);
}
