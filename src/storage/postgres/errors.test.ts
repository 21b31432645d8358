import { describe, expect, test } from "bun:test";
import { SQL } from "bun";
import { RequestError } from "../../protocol/errors.ts";
import { failureOf, isServerState, requestErrorOf } from "./errors.ts";

function postgresError(code: string, message = "why"): Error {
  return new SQL.PostgresError(message, { code: "ERR_POSTGRES_SERVER_ERROR", errno: code } as never);
}

describe("the state that the database is in", () => {
  test.each([
    ["42P01", "no such table"],
    ["42703", "no such column"],
    ["42501", "permission denied"],
    ["42883", "no such operator"],
    ["55000", "cannot insert into view"],
    ["0A000", "not supported"],
    ["3F000", "no such schema"],
    ["25006", "read-only transaction"],
    ["53100", "disk full"],
    ["53200", "out of memory"],
    ["58030", "input/output error"],
    ["XX000", "its own bug"],
    ["XX001", "data damaged"],
    ["XX002", "index damaged"],
    ["2200H", "sequence at its end"],
  ])("%s, %s: 503 with Retry-After", (code, message) => {
    const error = postgresError(code, message);
    expect(isServerState(error)).toBe(true);
    const told = requestErrorOf(error, "save") as RequestError;
    expect(told).toBeInstanceOf(RequestError);
    expect(told).toMatchObject({ status: 503, retryAfterS: 1, details: `${message} (${code})` });
  });

  test("is still known when it has been told", () => {
    expect(failureOf(requestErrorOf(postgresError("42P01"), "read"))).toMatchObject({ code: "42P01" });
    expect(failureOf(new RequestError(503, "away"))).toBeNull();
  });
});

describe("a row that a rule refuses, or that can't be stored", () => {
  test.each([
    ["23505", "duplicate key"],
    ["23514", "violates check constraint"],
    ["23503", "violates foreign key"],
    ["22003", "out of range"],
    ["22P02", "invalid text"],
    ["44000", "with check option"],
    ["P0001", "raised by a trigger"],
    ["DESK1", "raised with a code of its own"],
    ["42501", 'new row violates row-level security policy for table "realtime_data"'],
  ])("%s, %s", (code, message) => {
    expect(isServerState(postgresError(code, message))).toBe(false);
  });
});

test.each(["57P03", "53300", "57P01", "08006", "40001", "57014", "55P03"])(
  "%s is away, busy or in the way: 503, and nothing to mend",
  (code) => {
    const error = postgresError(code);
    expect(isServerState(error)).toBe(false);
    expect(requestErrorOf(error, "save")).toMatchObject({ status: 503, retryAfterS: 1 });
  },
);
