/** Rows as columns: `format=columns` of /v1, whose JSON browsers parse quicker than any code. */
import { getJson, type Params } from "./request.ts";

type Cell = string | number | boolean | null;

export interface Columns {
  /** By name, each as long as the others. */
  columns: Record<string, Cell[]>;
  nextPageToken: string | null;
  warnings: string[];
  /** With `with_position`: up to which its rows are whole, by ticker. */
  positions: Readonly<Record<string, number>>;
}

interface ColumnsAnswer {
  columns: Record<string, Cell[]>;
  next_page_token: string | null;
  warnings?: string[];
  positions?: Record<string, number>;
}

/** @throws as `request` does */
export async function getColumns(path: string, params: Params, signal?: AbortSignal): Promise<Columns> {
  const answer = await getJson<ColumnsAnswer>(path, { ...params, format: "columns" }, signal);
  return {
    columns: answer.columns,
    nextPageToken: answer.next_page_token,
    warnings: answer.warnings ?? [],
    positions: answer.positions ?? {},
  };
}

export function rowCount({ columns }: Columns): number {
  return Object.values(columns)[0]?.length ?? 0;
}
