import { expect, test } from "bun:test";
import { QUESTION_COMMANDS } from "./commands.ts";
import { QUESTIONS, type QuestionName } from "./get-rows.ts";

test.each(QUESTION_COMMANDS)("the parameters of $name are those of its schema", ({ name, params }) => {
  expect(params).toEqual(Object.keys(QUESTIONS[name as QuestionName].parameters.shape));
});
