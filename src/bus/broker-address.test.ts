import { expect, test } from "bun:test";
import { parseBrokerUrl } from "./broker-address.ts";

test("hosts, credentials and what may be shown", () => {
  expect(parseBrokerUrl("nats://h1:4222,h2")).toMatchObject({
    broker: "nats",
    tls: false,
    servers: ["h1:4222", "h2"],
    user: null,
    token: null,
    shown: "nats://h1:4222,h2",
  });
  expect(parseBrokerUrl("tls://me:p%40ss@h")).toMatchObject({
    tls: true,
    user: "me",
    password: "p@ss",
    token: null,
    shown: "tls://h",
  });
  expect(parseBrokerUrl("nats://t0ken@h")).toMatchObject({ user: null, token: "t0ken", shown: "nats://h" });
  expect(parseBrokerUrl("redis://:a@b/c@[::1]:6379/2")).toMatchObject({
    broker: "redis",
    user: null,
    password: "a@b/c",
    servers: ["[::1]:6379"],
    path: "2",
    shown: "redis://[::1]:6379",
  });
  expect(parseBrokerUrl("REDISS://me@h")).toMatchObject({
    tls: true,
    user: "me",
    password: null,
    token: null,
  });
});

test.each([
  "kafka://h",
  "nats://",
  "nats://h:99999",
  "nats://me:s3cret@h/path",
  "redis://:s3cret@a,b",
  "redis://:s3cret@h/name",
  "redis://:%s3cret@h",
])("%s is refused, and no password shown", (url) => {
  const refused = (): unknown => parseBrokerUrl(url);
  expect(refused).toThrow("--bus: ");
  expect(refused).not.toThrow("s3cret");
});
