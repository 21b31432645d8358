/** What a component reads from the server: until it is there, what it is, or why it isn't. */
import { useCallback, useEffect, useState } from "preact/hooks";
import { isAbort } from "./server-error.ts";

export interface Load<T> {
  /** Of the newest answer; it stays while the next one is on its way. */
  data: T | undefined;
  error: unknown;
  isLoading: boolean;
  reload(): void;
}

/**
 * @param read Is given up, by its signal, when something of `inputs` changes or the component goes.
 * @param inputs As in `useEffect`: what `read` depends on.
 */
export function useLoad<T>(read: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Load<T> {
  const [state, setState] = useState<Omit<Load<T>, "reload">>({
    data: undefined,
    error: null,
    isLoading: true,
  });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    setState(({ data }) => ({ data, error: null, isLoading: true }));
    read(controller.signal).then(
      (data) => {
        if (!controller.signal.aborted) setState({ data, error: null, isLoading: false });
      },
      (error) => {
        if (controller.signal.aborted || isAbort(error)) return;
        setState(({ data }) => ({ data, error, isLoading: false }));
      },
    );
    return () => controller.abort();
  }, [...inputs, turn]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  return { ...state, reload };
}
