import { expect, test } from "bun:test";
import { UsageError } from "../config/usage-error.ts";
import { parseFlags, readCount, readNames, readServerUrl } from "./flags.ts";

const FLAGS = { batch: { type: "string" }, quiet: { type: "boolean" } } as const;

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message;
  }
  throw new Error("nothing was refused");
}

test("flags and arguments are told apart", () => {
  const { values, positionals } = parseFlags("copy", ["a", "--batch", "3", "--quiet", "b"], FLAGS, {
    allowPositionals: true,
  });
  expect({ ...values }).toEqual({ batch: "3", quiet: true });
  expect(positionals).toEqual(["a", "b"]);
});

test("what is wrong is said in one sentence that names the subcommand", () => {
  const refusals: [argv: string[], message: string][] = [
    [["--bach", "3"], "copy: --bach: no such flag, did you mean --batch?"],
    [["--what=else"], "copy: --what: no such flag, see copy --help"],
    [["-x"], "copy: -x: no such flag, see copy --help"],
    [["--batch"], "copy: --batch: expected a value, got no value"],
    [["--batch", "--quiet"], "copy: --batch: expected a value, got no value"],
    [["--quiet=yes"], 'copy: --quiet: takes no value, got "yes"'],
    [["a"], 'copy: "a": expected a flag, see copy --help'],
    [
      ["postgresql://me:secret@host/x"],
      'copy: "postgresql://me:***@host/x": expected a flag, see copy --help',
    ],
  ];
  for (const [argv, message] of refusals)
    expect(refusal(() => parseFlags("copy", argv, FLAGS))).toBe(message);
});

test("a count is a whole number from 1 to its bound", () => {
  expect(readCount("copy: --batch", undefined, 10)).toBeNull();
  expect(readCount("copy: --batch", "10", 10)).toBe(10);
  for (const text of ["", "0", "11", "1.5", "-1", "1e1", " 1"]) {
    expect(refusal(() => readCount("copy: --batch", text, 10))).toBe(
      `copy: --batch "${text}": expected a whole number from 1 to 10`,
    );
  }
});

test("an address has no slash at its end, and a refused one shows no password", () => {
  expect(readServerUrl("copy: --to", "http://localhost:8080/desk/")).toBe("http://localhost:8080/desk");
  expect(refusal(() => readServerUrl("copy: --to", "ftp://me:secret@host"))).toBe(
    'copy: --to "ftp://me:***@host": expected a URL such as http://localhost:8080',
  );
});

test("names come once each, whichever way they were given", () => {
  expect(readNames("copy: --tickers", undefined)).toBeNull();
  expect(readNames("copy: --tickers", ["A,B,,", "B, C"])).toEqual(["A", "B", "C"]);
  expect(refusal(() => readNames("copy: --tickers", [","], "tickers"))).toBe(
    'copy: --tickers "": expected tickers, separated by commas',
  );
});
