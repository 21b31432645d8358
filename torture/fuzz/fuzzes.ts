/** Kinds of random input. Each gives what to send, and what must hold of the answer. */
import type { Arbitrary } from "fast-check";
import type { Target } from "../attack.ts";
import { commands } from "./commands.ts";
import { httpBytes } from "./http-bytes.ts";
import { hubMessages } from "./hub-messages.ts";
import { socketFrames } from "./socket-frames.ts";
import { sqlTexts } from "./sql-texts.ts";

export interface FuzzTarget extends Target {
  /** Where the workers meet the hub. */
  readonly hubSocket: string;
}

export interface Fuzz<Input = unknown> {
  name: string;
  input(target: FuzzTarget): Arbitrary<Input>;
  /** @throws Error The input has done harm. */
  send(target: FuzzTarget, input: Input): Promise<void>;
}

export const FUZZES: readonly Fuzz[] = [
  httpBytes as Fuzz,
  socketFrames as Fuzz,
  commands as Fuzz,
  sqlTexts as Fuzz,
  hubMessages as Fuzz,
];
