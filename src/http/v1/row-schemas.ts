/** What the description of /v1 says of rows: their columns, under their long names. */
import type { FormatType } from "../../formats/format-columns.ts";
import { columnsOf, keyNames, type MarketTable } from "../../market-data/answer-columns.ts";

export type JsonSchema = Record<string, unknown>;

const NAMES: Record<MarketTable, string> = {
  bars: "Bar",
  trades: "Trade",
  quotes: "Quote",
  options: "OptionSnapshot",
  corporate_actions: "CorporateAction",
};

const MOMENT = "ISO 8601 with its offset.";

const TYPES: Record<FormatType, JsonSchema> = {
  name: { type: "string" },
  text: { type: "string" },
  json: { description: "Any JSON." },
  double: { type: "number" },
  int64: { type: "number", description: "A count, mostly a whole number of up to 64 bits." },
  digits: { type: "string" },
  date: { type: "string", format: "date" },
  second: { type: "string", format: "date-time", description: `${MOMENT} Whole seconds.` },
  instant: { type: "string", format: "date-time", description: `${MOMENT} Microseconds.` },
};

/** A row of each table, as NDJSON has it. */
export function rowSchemas(): Record<string, JsonSchema> {
  return Object.fromEntries(
    (Object.keys(NAMES) as MarketTable[]).map((table) => [NAMES[table], rowOf(table)]),
  );
}

function rowOf(table: MarketTable): JsonSchema {
  const keys = keyNames(table);
  const columns = columnsOf(table);
  const properties = columns.map(({ name, short, type, onRequest }): [string, JsonSchema] => {
    const { description, ...schema } = TYPES[type];
    const told = [
      description,
      onRequest && "Only where `columns` names it.",
      short !== name && `Short: ${short}.`,
    ];
    const text = told.filter((part) => typeof part === "string").join(" ");
    const ofValue = keys.includes(name) || schema.type === undefined ? schema : orNull(schema);
    return [name, text === "" ? ofValue : { ...ofValue, description: text }];
  });
  return {
    type: "object",
    description: `A row of ${table.replace("_", " ")}: a line of NDJSON, an element of columns. Null: there is no value.`,
    required: columns.filter(({ onRequest }) => onRequest !== true).map(({ name }) => name),
    properties: Object.fromEntries(properties),
    additionalProperties: false,
  };
}

function orNull({ type, ...schema }: JsonSchema): JsonSchema {
  return { ...schema, type: [type, "null"] };
}
