import { expect, test } from "bun:test";
import { type Answer, AnswerReader } from "./http-answers.ts";

const PLAIN = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED =
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=1\r\nlo\r\n0\r\nX-End: 1\r\n\r\n";
const REFUSED = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

function read(pieces: string[], wantBody = true): { status: number; body: string | null }[] {
  const answers: Answer[] = [];
  const reader = new AnswerReader((answer) => answers.push(answer));
  reader.wantBody = wantBody;
  for (const piece of pieces) reader.feed(Buffer.from(piece));
  return answers.map(({ status, body }) => ({
    status,
    body: body === null ? null : Buffer.from(body).toString(),
  }));
}

const HELLO = { status: 200, body: "hello" };

test("answers with a length, with chunks and without a body follow one another", () => {
  expect(read([PLAIN + CHUNKED + REFUSED + PLAIN])).toEqual([HELLO, HELLO, { status: 503, body: "" }, HELLO]);
});

test("an answer may be cut anywhere", () => {
  const all = PLAIN + CHUNKED + PLAIN;
  for (let cut = 1; cut < all.length; cut++) {
    expect(read([all.slice(0, cut), all.slice(cut)])).toEqual([HELLO, HELLO, HELLO]);
  }
  expect(read([...all])).toEqual([HELLO, HELLO, HELLO]);
});

test("answers like the one before are counted, and one of the same size with another status is seen", () => {
  const refused = PLAIN.replace("200 OK", "500 OK");
  expect(read([PLAIN, PLAIN, refused], false).map((answer) => answer.status)).toEqual([200, 200, 500]);
});

test("an answer of the same size with a shorter body leaves the rest to the next", () => {
  const shorter = PLAIN.replace("Length: 5", "Length: 3");
  const statuses = read([PLAIN, shorter.slice(0, -2), PLAIN], false).map((answer) => answer.status);
  expect(statuses).toEqual([200, 200, 200]);
});

test("what isn't HTTP is refused", () => {
  expect(() => read(["hello\r\n\r\n"])).toThrow("not an HTTP/1.1 answer");
});
