/**
 * The names that the server's own statements use of PostgreSQL: a function or an operator of such a
 * name, made by a user in the schema of the tables, could come in between. So the statements name
 * the schema of a function that takes more than one type. Where PostgreSQL has one for exactly
 * these types, as for operators, its own wins, since its schema is looked at first; unnest of
 * several arrays is always its own.
 */
export const SERVER_FUNCTIONS: readonly string[] = [
  ...[
    "unnest",
    "count",
    "sum",
    "max",
    "min",
    "bool_and",
    "row_number",
    "string_agg",
    "string_to_array",
    "to_json",
  ],
  ...[
    "octet_length",
    "length",
    "clock_timestamp",
    "now",
    "extract",
    "date_part",
    "timezone",
    "to_char",
    "md5",
    "substr",
  ],
  ...[
    "version",
    "current_setting",
    "set_config",
    "current_schema",
    "current_schemas",
    "to_regclass",
    "format_type",
  ],
  ...["has_table_privilege", "has_schema_privilege", "pg_has_role", "quote_ident", "concat_ws"],
];
export const SERVER_OPERATORS: readonly string[] = [
  "=",
  "<>",
  "<",
  ">",
  "<=",
  ">=",
  "+",
  "-",
  "*",
  "/",
  "||",
];
