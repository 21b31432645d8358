/** For hubs and workers that are started without the rest of a server. */
import { FeedView } from "../../src/feeds/feed-view.ts";
import type { HubOptions } from "../../src/hub/hub.ts";
import type { HubClientOptions } from "../../src/hub/hub-client.ts";

/** No feed becomes stale. */
export const FEEDS_OF_HUB: HubOptions["feeds"] = {
  staleAfterMs: 0,
  rules: [],
  openHours: [],
  isShared: false,
};

/** It hears of none. */
export const FEEDS_OF_CLIENT: Pick<HubClientOptions, "knownFeeds" | "feeds"> = {
  knownFeeds: () => new FeedView().known(),
  feeds() {},
};
