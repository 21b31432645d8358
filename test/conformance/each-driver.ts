/** Runs a suite on every storage driver. What a driver can't do is skipped, with the reason. */
import { afterAll, describe, test } from "bun:test";
import { tempDir } from "../support/temp-dir.ts";
import { type Capability, DRIVERS, type OpenDatabase, type OpenOptions } from "./drivers.ts";

const TEST_TIMEOUT_MS = 120_000;
/** Of a test that makes dozens of databases, which takes some engines a tenth of a second each. */
export const MANY_DATABASES_TIMEOUT_MS = 240_000;

export interface DriverTests {
  /** A fresh and empty database. */
  open(dir: string, options?: OpenOptions): Promise<OpenDatabase>;
  /** A test with a fresh and empty database. */
  withDatabase(
    name: string,
    body: (db: OpenDatabase) => Promise<void>,
    options?: OpenOptions & { timeoutMs?: number },
  ): void;
  /**
   * Tests that only read, and so can share a database. It is filled by the first of them, as a
   * filter may leave them all out.
   */
  withSharedDatabase<T>(
    topic: string,
    fill: (db: OpenDatabase) => Promise<T>,
    define: (readingTest: ReadingTest<T>) => void,
  ): void;
  /** Defines a test of something that not every driver can do. */
  testOf(capability: Capability, name: string, define: (name: string) => void): void;
}

type ReadingTest<T> = (name: string, body: (db: OpenDatabase, filled: T) => Promise<void>) => void;

/** @param suite `needs`: what all of it is about. */
export function withEachDriver(
  { topic, needs }: { topic: string; needs?: Capability },
  defineTests: (tests: DriverTests) => void,
): void {
  for (const driver of DRIVERS) {
    const reason = driver.absent ?? (needs && driver.lacks[needs]);
    if (reason !== undefined) {
      test.skip(`${topic}: ${driver.name} (${reason})`, () => {});
      continue;
    }
    describe(`${topic}: ${driver.name}`, () => {
      const open = driver.prepare();
      defineTests({
        open,
        withDatabase(name, body, { timeoutMs = TEST_TIMEOUT_MS, ...options } = {}) {
          test(
            name,
            async () => {
              using dir = tempDir();
              await using db = await open(dir.path, options);
              await body(db);
            },
            timeoutMs,
          );
        },
        withSharedDatabase: (topic, fill, define) =>
          describe(topic, () => defineReadingTests(open, fill, define)),
        testOf(capability, name, define) {
          const why = driver.lacks[capability];
          if (why === undefined) define(name);
          else test.skip(`${name} (${capability}: ${why})`, () => {});
        },
      });
    });
  }
}

function defineReadingTests<T>(
  open: DriverTests["open"],
  fill: (db: OpenDatabase) => Promise<T>,
  define: (readingTest: ReadingTest<T>) => void,
): void {
  const stack = new AsyncDisposableStack();
  let shared: Promise<{ db: OpenDatabase; filled: T }> | null = null;
  const openShared = async () => {
    const dir = stack.use(tempDir());
    const db = stack.use(await open(dir.path));
    return { db, filled: await fill(db) };
  };
  define((name, body) =>
    test(
      name,
      async () => {
        shared ??= openShared();
        const { db, filled } = await shared;
        await body(db, filled);
      },
      TEST_TIMEOUT_MS,
    ));
  afterAll(() => stack.disposeAsync(), TEST_TIMEOUT_MS);
}
