import { expect, test } from "bun:test";
import { DOCTOR_HELP, parseDoctorOptions } from "./options.ts";

test("without its flags doctor looks at the database and the bus of the server's environment", () => {
  const env = { STOCK_DB_DB_FILE: "live.db", STOCK_DB_BUS: "nats://broker" };
  expect(parseDoctorOptions([], env)).toMatchObject({ dbFile: "live.db", bus: "nats://broker" });
  const flags = ["--db-file", "other.db", "--bus", "postgres"];
  expect(parseDoctorOptions(flags, env)).toMatchObject({ dbFile: "other.db", bus: "postgres" });
  const database = "postgresql://desk@db1/stocks";
  const replicas = ["postgresql://desk@db2/stocks", "postgresql://desk@db3/stocks"];
  const ofServer = { STOCK_DB_DB_FILE: database, STOCK_DB_READ_REPLICAS: replicas.join(",") };
  expect(parseDoctorOptions([], ofServer)).toMatchObject({ dbFile: database, replicas });
  for (const name of Object.keys({ ...env, ...ofServer })) expect(DOCTOR_HELP).toContain(name);
  expect(() => parseDoctorOptions([], { STOCK_DB_DB_FILE: "live.txt" })).toThrow("STOCK_DB_DB_FILE: ");
});
