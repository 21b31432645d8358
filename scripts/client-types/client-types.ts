/**
 * The types of the TypeScript client, made of the description of /v1: parameters of questions and
 * of rows to store, under the names of the language, and rows with the server's names of columns.
 */
import { compile, type JSONSchema } from "json-schema-to-typescript";

type TypeSchema = Record<string, unknown>;

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: TypeSchema;
}

interface DescribedOperation {
  parameters?: Parameter[];
}

export interface Description {
  paths: Record<string, { get?: DescribedOperation; post?: DescribedOperation }>;
  components: object;
}

const QUESTIONS: Record<string, string> = {
  "/v1/bars": "BarsParameters",
  "/v1/trades": "TradesParameters",
  "/v1/quotes": "QuotesParameters",
  "/v1/asof": "AsofParameters",
  "/v1/latest": "LatestParameters",
  "/v1/snapshots": "SnapshotsParameters",
  "/v1/options": "OptionChainParameters",
  "/v1/corporate-actions": "CorporateActionsParameters",
  "/v1/tickers": "TickersParameters",
  "/v1/stream": "StreamParameters",
};
const WRITES: Record<string, string> = {
  "/v1/bars": "SaveBarsParameters",
  "/v1/trades": "SaveTradesParameters",
  "/v1/quotes": "SaveQuotesParameters",
};
/** The client gives these in another way. */
const OWN = new Set(["symbols", "format", "page_token", "underlying", "frames", "heartbeat", "batch"]);
const MOMENTS = new Set(["start", "end", "as_of", "adjust_to", "since"]);
const DATES = new Set(["expiration_date", "expiration_date_gte", "expiration_date_lte"]);
/** Texts of a URL that are lists with commas. */
const LISTS = new Set(["types", "bars", "indicators", "right_columns", "columns", "contracts"]);
const SWITCHES = new Set(["snapshot", "empty_bars"]);

const HEAD = `// Written by scripts/write-client-types.ts out of the server's OpenAPI description.

/**
 * A moment: ISO 8601, a date, a \`Date\`, or a number since 1970 in a unit that its size tells.
 * Whole numbers beyond 2^53, such as nanoseconds, are \`bigint\`.
 */
export type Moment = string | number | bigint | Date;

`;

export async function clientTypes({ paths, components }: Description): Promise<string> {
  const definitions: Record<string, TypeSchema> = {};
  for (const [path, name] of Object.entries(QUESTIONS))
    definitions[name] = parametersOf(paths[path]!.get!.parameters!);
  for (const [path, name] of Object.entries(WRITES))
    definitions[name] = parametersOf(paths[path]!.post!.parameters!);
  for (const [name, schema] of Object.entries(
    (components as { schemas: Record<string, TypeSchema> }).schemas,
  ))
    definitions[name === "Error" ? "ErrorBody" : name] = typed(schema);
  const names = Object.keys(definitions);
  const root = {
    ...{ type: "object", additionalProperties: false, definitions },
    properties: Object.fromEntries(names.map((name) => [name, { $ref: `#/definitions/${name}` }])),
  };
  const text = await compile(root as JSONSchema, "All", {
    ...{ bannerComment: "", additionalProperties: false },
    style: { printWidth: 100 },
  });
  // Only the definitions are wanted, not what holds them.
  const withoutRoot = text.replace(/export interface All \{[\s\S]*?\n\}\n/, "");
  return HEAD + withoutRoot.replaceAll(/ \* This interface was referenced by [\s\S]*?(?=\n \*\/)/g, " *");
}

function parametersOf(parameters: Parameter[]): TypeSchema {
  const own = parameters.filter((parameter) => parameter.in === "query" && !OWN.has(parameter.name));
  return {
    type: "object",
    additionalProperties: false,
    required: own.filter(({ required }) => required).map(({ name }) => camelCase(name)),
    properties: Object.fromEntries(
      own.map(({ name, description, schema }) => [
        camelCase(name),
        { ...valueSchema(name, schema), description: description?.replace("Of rows to store: ", "") },
      ]),
    ),
  };
}

/** What a program gives, where a URL has a text. */
function valueSchema(name: string, schema: TypeSchema): TypeSchema {
  if (name === "since") return { tsType: "Moment | Readonly<Record<string, Moment>>" };
  if (MOMENTS.has(name)) return { tsType: "Moment" };
  if (DATES.has(name)) return { tsType: "string | Date" };
  if (LISTS.has(name)) return { tsType: "string | readonly string[]" };
  if (SWITCHES.has(name)) return { type: "boolean" };
  const { anyOf } = schema as { anyOf?: TypeSchema[] };
  // The other one is its text.
  return anyOf === undefined ? schema : anyOf.find(({ type }) => type !== "string")!;
}

/** A schema that says nothing of the type means any. */
function typed(schema: TypeSchema): TypeSchema {
  const { type, $ref, anyOf, properties, items, ...rest } = schema;
  if (type === undefined && $ref === undefined && anyOf === undefined) return { ...rest, tsType: "unknown" };
  const inner = Object.entries((properties ?? {}) as Record<string, TypeSchema>);
  return {
    ...schema,
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(inner.map(([name, of]) => [name, typed(of)])) }),
    ...(items === undefined ? {} : { items: typed(items as TypeSchema) }),
  };
}

function camelCase(name: string): string {
  return name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
