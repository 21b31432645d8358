/** Names of members are texts of clients and files. */

/** An assignment takes `__proto__` for something else, and the value would be lost. */
export function setMember<T>(record: Record<string, T>, name: string, value: NoInfer<T>): void {
  if (name === "__proto__")
    Object.defineProperty(record, name, { value, writable: true, enumerable: true, configurable: true });
  else record[name] = value;
}
