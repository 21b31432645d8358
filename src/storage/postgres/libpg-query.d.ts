/** Types that libpg-query leaves out: its API makes only one instance of the parser. */
declare module "libpg-query/wasm/libpg-query.js" {
  export interface ParserModule {
    lengthBytesUTF8(text: string): number;
    stringToUTF8(text: string, pointer: number, bytes: number): void;
    UTF8ToString(pointer: number): string;
    getValue(pointer: number, type: "i32"): number;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _wasm_parse_query_raw(text: number): number;
    _wasm_free_parse_result(result: number): void;
    _wasm_scan(text: number): number;
    _wasm_free_string(text: number): void;
  }
  const createParser: (options: { locateFile(): string }) => Promise<ParserModule>;
  export default createParser;
}

declare module "libpg-query/wasm/libpg-query.wasm" {
  /** With the type `file`. */
  const path: string;
  export default path;
}
