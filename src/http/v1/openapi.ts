/** The description of /v1 as OpenAPI 3.1, made of what checks the parameters. */
import { z } from "zod";
import { version } from "../../../package.json" with { type: "json" };
import type { WrittenTable } from "../../commands/writes/sent-names.ts";
import { WRITE_PARAMETERS } from "../../commands/writes/write-parameters.ts";
import { STATUS } from "../../protocol/codes.ts";
import { IDEMPOTENCY_HEADER } from "../../protocol/save-id.ts";
import { LIVE_PARAMETERS } from "../../websocket/live-request.ts";
import { CONNECTIONS_PARAMETERS } from "./connections.ts";
import { FORMAT_TYPES } from "./format-types.ts";
import { type JsonSchema, rowSchemas } from "./row-schemas.ts";
import { DOORS, type Door } from "./v1-doors.ts";
import { CONNECTIONS_PATH, V1_PATHS, type V1Path } from "./v1-paths.ts";
import { writeContent } from "./write-description.ts";

export interface OpenApiParameter {
  name: string;
  in: "query" | "header" | "path";
  required: boolean;
  description: string;
  schema: JsonSchema;
  example?: unknown;
  style?: "form";
  explode?: false;
}

interface Operation {
  operationId: string;
  summary: string;
  parameters?: OpenApiParameter[];
  requestBody?: object;
  responses: Record<string, object>;
}

export interface OpenApi {
  openapi: "3.1.0";
  info: object;
  paths: Record<string, { get?: Operation; post?: Operation; delete?: Operation }>;
  security: object[];
  components: object;
}

let made: OpenApi | null = null;

/** Made when it is first asked for. */
export function openApi(): OpenApi {
  made ??= {
    openapi: "3.1.0",
    info: {
      title: "Stock DB Server",
      version,
      description:
        "Market data of many tickers. Stamps are UTC unless `tz` asks for a zone. A parameter that isn't known is an error.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths: {
      ...Object.fromEntries((Object.keys(V1_PATHS) as V1Path[]).map((path) => [path, pathOf(path)])),
      "/v1/stream": { get: STREAM },
      [CONNECTIONS_PATH]: { get: connectionsOperation() },
      [`${CONNECTIONS_PATH}/{id}`]: { delete: END_OF_CONNECTION },
    },
    // Of a server with keys; others ask for none.
    security: [{}, { key: [] }],
    components: {
      schemas: { Error: ERROR, Saved: STORED, ...rowSchemas() },
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "A key of `stock-db-server keys`." },
      },
    },
  };
  return made;
}

const STREAM: Operation = {
  operationId: "get_stream",
  summary: "Live updates as server-sent events; the header Last-Event-ID goes on where a stream ended",
  parameters: LIVE_PARAMETERS.map((name) => ({
    ...{ name, in: "query" as const, required: name === "symbols" },
    description: "As of the WebSocket /ws.",
    schema: { type: "string" },
    ...(name === "symbols" ? { example: "AAPL,SPY" } : {}),
  })),
  responses: {
    200: {
      description: "Events whose data is a frame in JSON, without an end.",
      content: { "text/event-stream": { schema: { type: "string" } } },
    },
  },
};

function connectionsOperation(): Operation {
  return {
    operationId: "get_connections",
    summary: "Who is connected, what they ask for, and how far behind they are",
    parameters: parametersOf(schemaOf({ parameters: CONNECTIONS_PARAMETERS })),
    responses: {
      200: {
        description: "Connections of all workers, those most behind first; see docs/connections.md.",
        content: { "application/json": { schema: { type: "object" } } },
      },
    },
  };
}

const END_OF_CONNECTION: Operation = {
  operationId: "delete_connection",
  summary: "Ends a connection",
  parameters: [
    {
      ...{ name: "id", in: "path", required: true },
      description: "As `GET /v1/connections` tells it.",
      schema: { type: "string" },
    },
  ],
  responses: {
    200: {
      description: "It was ended.",
      content: { "application/json": { schema: { type: "object" } } },
    },
    404: { description: "No connection has this id, or it has ended." },
  },
};

const ERROR: JsonSchema = {
  type: "object",
  required: ["error"],
  properties: {
    error: { type: "string", description: "Parameter, value, and what was expected." },
    details: { type: "string" },
    hint: { type: "string" },
  },
};

const ERRORS: Record<number, string> = {
  [STATUS.badRequest]: "A parameter is wrong, missing or unknown.",
  [STATUS.unauthorized]: "A key is needed, and none that is valid was sent.",
  [STATUS.forbidden]: "The server's settings, the key, or a page of another site, forbid it.",
  [STATUS.tooMany]: "The client's address or key has too much under way, or has reached a limit.",
  [STATUS.unavailable]: "Come back later: too much is under way, or the database is away.",
  [STATUS.timeIsUp]: "It took too long.",
};
/** Of a body. */
const BODY_ERRORS: Record<number, string> = {
  [STATUS.tooLarge]: "The body is larger than --max-body-mb.",
  [STATUS.wrongMediaType]: "The body has no such Content-Type here.",
};
/** Of rows to store. */
const WRITE_ERRORS: Record<number, string> = {
  [STATUS.conflict]: "A row is there already, or other rows came under the same Idempotency-Key.",
};

function pathOf(path: V1Path): OpenApi["paths"][string] {
  const door = DOORS[path];
  const { summary } = door;
  const written = V1_PATHS[path];
  const id = path.slice("/v1/".length).replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const schema = schemaOf(door);
  const ofRows = written === null ? {} : WRITE_ERRORS;
  return {
    get: {
      operationId: `get_${id}`,
      summary,
      parameters: parametersOf(schema),
      responses: responsesOf(door, {}),
    },
    post: {
      operationId: `post_${id}`,
      summary: `${summary}; the parameters as JSON${written === null ? "" : ", or rows to store"}`,
      ...(written === null ? {} : { parameters: writeParameters(written) }),
      requestBody: {
        required: true,
        content:
          written === null
            ? { "application/json": { schema: withoutOwnNames(schema) } }
            : writeContent(written, withoutOwnNames(schema)),
      },
      responses: responsesOf(door, { ...BODY_ERRORS, ...ofRows }, written !== null),
    },
  };
}

/** They are of rows alone: a question has its own in the body. */
function writeParameters(table: WrittenTable): OpenApiParameter[] {
  const ofUrl = parametersOf(schemaOf({ parameters: WRITE_PARAMETERS[table] }));
  return [...ofUrl, IDEMPOTENCY_KEY].map((parameter) => ({
    ...parameter,
    required: false,
    description: `Of rows to store: ${parameter.description}`,
  }));
}

function schemaOf({ parameters }: Pick<Door, "parameters">): JsonSchema {
  const { $schema, ...schema } = z.toJSONSchema(parameters, { io: "input", unrepresentable: "any" });
  for (const property of Object.values(schema.properties as Record<string, JsonSchema>)) {
    const { example } = property;
    // Of a schema, OpenAPI 3.1 has a list.
    if (example !== undefined) property.examples = [example];
  }
  return { ...schema, additionalProperties: false };
}

/** The members that only `parametersOf` reads. */
function withoutOwnNames({ properties, ...schema }: JsonSchema): JsonSchema {
  const plain = Object.entries(properties as Record<string, JsonSchema>).map(([name, property]) => {
    const { example: _, isList: __, ...rest } = property;
    return [name, rest];
  });
  return { ...schema, properties: Object.fromEntries(plain) };
}

function parametersOf({ properties, required = [] }: JsonSchema): OpenApiParameter[] {
  return Object.entries(properties as Record<string, JsonSchema>).map(([name, property]) => {
    const { description, example, examples: _, isList, ...schema } = property;
    return {
      ...{ name, in: "query", required: (required as string[]).includes(name) },
      description: String(description),
      ...(isList === true
        ? { schema: { type: "array", items: { type: "string" } }, style: "form", explode: false }
        : { schema }),
      ...(example === undefined ? {} : { example: isList === true ? String(example).split(",") : example }),
    };
  });
}

function responsesOf(
  { isTable }: Door,
  others: Record<number, string>,
  stores = false,
): Record<string, object> {
  const error = { "application/json": { schema: { $ref: "#/components/schemas/Error" } } };
  const errors = Object.entries({ ...ERRORS, ...others }).map(([status, description]) => [
    status,
    { description, content: error },
  ]);
  return {
    200: {
      description: isTable
        ? "The rows. In JSON they stand under their tickers; other formats have a row for each."
        : "The rows.",
      ...(isTable ? { headers: HEADERS } : {}),
      content: isTable ? tableContent(stores) : { "application/json": { schema: { type: "object" } } },
    },
    ...Object.fromEntries(errors),
  };
}

const HEADERS = {
  "Next-Page-Token": { description: "As next_page_token in JSON.", schema: { type: "string" } },
  Warnings: { description: "As warnings in JSON: a JSON list of sentences.", schema: { type: "string" } },
};

const IDEMPOTENCY_KEY: OpenApiParameter = {
  name: IDEMPOTENCY_HEADER,
  in: "header",
  required: false,
  description: "says what request it is; a repetition changes nothing.",
  schema: { type: "string", maxLength: 255 },
};

const COUNT: JsonSchema = { type: "integer", minimum: 0 };
const POSITIONS: JsonSchema = { type: "object", additionalProperties: { type: "integer" } };
const STORED_COUNTS = {
  stored: COUNT,
  replaced: COUNT,
  repeated: COUNT,
  skipped: COUNT,
  positions: POSITIONS,
};
/** What has become of rows. */
const STORED: JsonSchema = {
  type: "object",
  required: ["rows", "stored", "parts"],
  properties: {
    rows: COUNT,
    ...STORED_COUNTS,
    repetition: { type: "boolean" },
    epoch: { type: "string" },
    parts: {
      type: "array",
      items: {
        type: "object",
        properties: {
          rows: { type: "array", items: { type: "integer" }, description: "First and last, from 1." },
          symbols: { type: "array", items: { type: "string" } },
          ...STORED_COUNTS,
          repetition: { type: "boolean" },
        },
      },
    },
    warnings: { type: "array", items: { type: "string" } },
  },
  additionalProperties: false,
};

/** @param stores the same path stores rows, whose answer is JSON. */
function tableContent(stores: boolean): Record<string, object> {
  const json: JsonSchema = {
    type: "object",
    properties: {
      next_page_token: { type: ["string", "null"] },
      epoch: { type: "string" },
      positions: POSITIONS,
      warnings: { type: "array", items: { type: "string" } },
    },
    // Under their tickers, or a matrix.
    additionalProperties: { type: ["object", "array"] },
  };
  return Object.fromEntries(
    FORMAT_TYPES.map(({ type }) => type.split(";")[0]!).map((type) => [
      type,
      type === "application/json"
        ? { schema: stores ? { anyOf: [json, { $ref: "#/components/schemas/Saved" }] } : json }
        : { schema: { type: "string", ...(type.startsWith("text/") ? {} : { format: "binary" }) } },
    ]),
  );
}
