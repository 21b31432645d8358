import { expect, test } from "bun:test";
import { type Subscriber, Subscriptions } from "./subscriptions.ts";

/** Subscriptions with a hub whose confirmations and a database whose prices come when the test says so. */
function setUp() {
  const watched: string[] = [];
  const confirmations: PromiseWithResolvers<void>[] = [];
  const prices: PromiseWithResolvers<number | null>[] = [];
  const listeners = new Map<Subscriber, string[]>();
  const subscriptions = new Subscriptions({
    heartbeatIntervalMs: 3_600_000,
    publish(_ticker, text) {
      for (const frames of listeners.values()) frames.push(text);
    },
    watch(ticker) {
      watched.push(`+${ticker}`);
      confirmations.push(Promise.withResolvers<void>());
      return confirmations.at(-1)!.promise;
    },
    unwatch: (ticker) => void watched.push(`-${ticker}`),
    latestPrice() {
      prices.push(Promise.withResolvers<number | null>());
      return prices.at(-1)!.promise;
    },
  });
  const subscriber = () => {
    const frames: string[] = [];
    const self = {
      frames,
      open: true,
      restart: () => undefined,
      send: (text: string) => void frames.push(text),
      listen: () => void listeners.set(self, frames),
    };
    return self;
  };
  return { subscriptions, subscriber, watched, confirmations, prices };
}

const kinds = (frames: string[]) =>
  frames.map((text) => (text.startsWith("{") ? (JSON.parse(text).data.type as string) : text));

test("updates that come while the first price is read follow it, in order", async () => {
  const { subscriptions, subscriber, confirmations, prices } = setUp();
  const one = subscriber();
  const joined = subscriptions.join("A", one);
  confirmations[0]!.resolve();
  await Bun.sleep(0);
  subscriptions.deliver("A", "first");
  subscriptions.deliver("A", "second");
  subscriptions.deliver("B", "of another ticker");
  expect(one.frames).toEqual([]);
  prices[0]!.resolve(7);
  await joined;
  subscriptions.deliver("A", "third");
  expect(kinds(one.frames)).toEqual(["initial_price", "first", "second", "heartbeat", "third"]);
  subscriptions.stop();
});

test("a ticker is watched from its first subscriber to its last, whenever they leave", async () => {
  const { subscriptions, subscriber, watched, confirmations, prices } = setUp();
  const [early, one, two] = [subscriber(), subscriber(), subscriber()] as const;
  // Leaves before the hub has confirmed.
  const left = subscriptions.join("A", early);
  early.open = false;
  subscriptions.leave("A", early);
  expect(watched).toEqual(["+A", "-A"]);
  confirmations[0]!.resolve();
  await Bun.sleep(0);
  prices[0]!.resolve(1);
  await left;
  expect(early.frames).toEqual([]);

  const joined = [subscriptions.join("A", one), subscriptions.join("A", two)];
  confirmations[1]!.resolve();
  await Bun.sleep(0);
  for (const price of prices) price.resolve(null);
  await Promise.all(joined);
  subscriptions.leave("A", one);
  subscriptions.leave("A", one);
  expect(watched).toEqual(["+A", "-A", "+A"]);
  subscriptions.leave("A", two);
  expect(watched).toEqual(["+A", "-A", "+A", "-A"]);
  expect(subscriptions.size).toBe(0);
});

test("a hub that doesn't confirm leaves no subscriber behind", async () => {
  const { subscriptions, subscriber, watched, confirmations } = setUp();
  const joined = [subscriptions.join("A", subscriber()), subscriptions.join("A", subscriber())];
  const settled = Promise.allSettled(joined);
  confirmations[0]!.reject(new Error("away"));
  expect((await settled).map((result) => result.status)).toEqual(["rejected", "rejected"]);
  expect(subscriptions.size).toBe(0);
  expect(watched).toEqual(["+A", "-A"]);
});
