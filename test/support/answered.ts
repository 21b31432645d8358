/** What a reader answers, in full: a large answer comes in chunks. */
import type { JsonRows } from "../../src/storage/contract.ts";

export type Row = Record<string, unknown>;

/** Empty where there are no rows. */
export async function textOf(answer: JsonRows | Promise<JsonRows>): Promise<string> {
  const rows = await answer;
  if (rows.empty) return "";
  if ("text" in rows) return rows.text;
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of rows.chunks)
    text += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
  return text;
}

export async function rowsOf(answer: JsonRows | Promise<JsonRows>): Promise<Row[]> {
  const text = await textOf(answer);
  return text === "" ? [] : (JSON.parse(text) as { data: Row[] }).data;
}
