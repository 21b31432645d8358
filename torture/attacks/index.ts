/** Every attack. A new one is added to the list of its kind, or as a list of its own here. */
import type { Attack } from "../attack.ts";
import { BODIES } from "./bodies.ts";
import { CROSS_SITE } from "./cross-site.ts";
import { GUARDS } from "./guards.ts";
import { HTTP_BYTES } from "./http-bytes.ts";
import { INPUTS } from "./inputs.ts";
import { OWN_SERVERS } from "./own-servers.ts";
import { SERVER_TABLES } from "./server-tables.ts";
import { SLOW_CLIENTS } from "./slow-clients.ts";
import { SOCKET_FRAMES } from "./socket-frames.ts";
import { SOCKET_STORMS } from "./socket-storms.ts";
import { SQL_BOMBS } from "./sql-bombs.ts";

export const ATTACKS: readonly Attack[] = [
  ...HTTP_BYTES,
  ...BODIES,
  ...INPUTS,
  ...CROSS_SITE,
  ...SOCKET_FRAMES,
  ...SOCKET_STORMS,
  ...SLOW_CLIENTS,
  ...SERVER_TABLES,
  ...SQL_BOMBS,
  ...GUARDS,
  ...OWN_SERVERS,
];
