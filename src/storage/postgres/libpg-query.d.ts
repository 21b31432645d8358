/**
 * The part of libpg-query that its own types leave out: a new instance of the parser, which its API
 * makes only once.
 */
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
  const createParser: () => Promise<ParserModule>;
  export default createParser;
}
