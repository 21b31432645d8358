/** What a body is, as Content-Type tells it. */
export const JSON_TYPE = "application/json";
export const ARROW_STREAM = "application/vnd.apache.arrow.stream";
export const ARROW_FILE = "application/vnd.apache.arrow.file";
export const PARQUET = "application/vnd.apache.parquet";
