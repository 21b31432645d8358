/** A keep-alive connection that saves, one request at a time. */
import { AnswerReader } from "./http-answers.ts";
import { LOOPBACK } from "./load-plan.ts";

const ANSWER_MS = 10_000;

export interface Saver {
  /** Resolves with the answer's arrival. @throws Error Not 200, or no answer in time. */
  post(request: Uint8Array): Promise<void>;
  close(): void;
}

/** @param onAnswer is called in the moment of the answer's arrival, before `post` resolves. */
export async function openSaver(port: number, onAnswer: () => void = () => undefined): Promise<Saver> {
  let waiting: PromiseWithResolvers<void> | null = null;
  const reader = new AnswerReader((answer) => {
    onAnswer();
    if (answer.status === 200) waiting?.resolve();
    else waiting?.reject(new Error(`a save was answered with status ${answer.status}`));
  });
  const socket = await Bun.connect({
    hostname: LOOPBACK,
    port,
    socket: {
      data: (_, bytes) => reader.feed(bytes),
      close: () => waiting?.reject(new Error("the saving connection was closed")),
      error: (_, error) => waiting?.reject(error),
    },
  });
  return {
    async post(request) {
      waiting = Promise.withResolvers<void>();
      const timer = setTimeout(() => waiting?.reject(new Error("a save was never answered")), ANSWER_MS);
      socket.write(request);
      await waiting.promise.finally(() => clearTimeout(timer));
    },
    close: () => {
      waiting = null;
      socket.terminate();
    },
  };
}
