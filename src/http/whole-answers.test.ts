import { expect, test } from "bun:test";
import { RequestError } from "../protocol/errors.ts";
import { WholeAnswers } from "./whole-answers.ts";

const MIB = 2 ** 20;

test("large answers that nobody takes have a bound together, and what is taken or left gives room", async () => {
  const answers = new WholeAnswers(10 * MIB);
  const text = "€uro".repeat(MIB);
  const untaken = answers.inPieces(text);
  expect(answers.bytes).toBe(6 * MIB);
  expect(() => answers.inPieces(text)).toThrow(RequestError);
  expect(() => answers.inPieces(text)).toThrow(/large answers are not handed over yet/);
  await untaken.cancel();
  const taken = answers.inPieces(text);
  expect(await new Response(taken).text()).toBe(text);
  expect(answers.bytes).toBe(0);
});

test("one answer always fits, however large it is", async () => {
  const answers = new WholeAnswers(MIB);
  const bytes = new Uint8Array(3 * MIB).fill(7);
  expect(await new Response(answers.inPieces(bytes)).bytes()).toEqual(bytes);
});
