import { expect, test } from "bun:test";
import { daysOf } from "./column-values.ts";

test("days of every date, and of none that isn't there", () => {
  const two = (n: number): string => String(n).padStart(2, "0");
  for (let year = 1890; year < 2110; year++)
    for (let month = 0; month <= 13; month++)
      for (let day = 0; day <= 32; day++) {
        const text = `${year}-${two(month)}-${two(day)}`;
        const ms = Date.UTC(year, month - 1, day);
        const isThere = new Date(ms).toISOString().startsWith(text);
        if (daysOf(text) !== (isThere ? ms / 86_400_000 : null)) throw new Error(`${text}: ${daysOf(text)}`);
      }
  expect(["2024-01-0x", "20240-1-02", "2024/01/02", "2024-1-2", ""].map(daysOf)).toEqual(Array(5).fill(null));
});
