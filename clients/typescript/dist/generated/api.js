// Written by scripts/write-client-types.ts out of the server's OpenAPI description.
export {};
