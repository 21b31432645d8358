import { expect, test } from "bun:test";
import { QUESTION_COMMANDS, type QuestionName } from "./commands.ts";
import { QUESTIONS } from "./get-rows.ts";

test.each(QUESTION_COMMANDS)("the parameters of $name are those of its schema", ({ name, params }) => {
  expect(params).toEqual(Object.keys(QUESTIONS[name as QuestionName].parameters.shape));
});
