import { describe, expect, test } from "bun:test";
import { redact } from "./redact.ts";

describe("redact", () => {
  test.each([
    ["data/stock_data.db", "data/stock_data.db"],
    ["postgresql://desk:s3cret@db:5432/stocks", "postgresql://desk:***@db:5432/stocks"],
    ["postgresql://desk:p@ss/w?rd@db/stocks", "postgresql://desk:***@db/stocks"],
    ["postgresql://desk@db/stocks", "postgresql://***@db/stocks"],
    ["postgresql://db:5432/stocks", "postgresql://db:5432/stocks"],
    ["postgresql://:s3cret@db/stocks", "postgresql://:***@db/stocks"],
    [
      "postgres://db/stocks?user=a&password=s3cret&sslmode=off",
      "postgres://db/stocks?user=a&password=***&sslmode=off",
    ],
    ["postgres://db/stocks?PassWord=s3cret", "postgres://db/stocks?PassWord=***"],
    ["https://t0ken@desk.example", "https://***@desk.example"],
    ["nats://t0ken@desk.example", "nats://***@desk.example"],
    ["localhost:5432:stocks:desk:s3:cr@et", "localhost:5432:stocks:desk:***"],
    ["questdb://localhost:8812:qdb:admin:quest", "questdb://localhost:8812:qdb:admin:***"],
    ["host=db user=desk password='s3 cret' dbname=x", "host=db user=desk password=*** dbname=x"],
  ])("%s → %s", (value, shown) => {
    expect(redact(value)).toBe(shown);
  });
});
