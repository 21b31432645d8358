import { RequestError, unavailable } from "../protocol/errors.ts";
import type { Call } from "./call.ts";

/** @throws RequestError 400; what may be better later is told in a stream that ends at once. */
export async function eventStream(call: Call): Promise<Response> {
  const { request, query, options, address, caller, path, arrival } = call;
  const { isDraining, descriptors, memory, eventStreams } = options;
  try {
    if (isDraining()) throw unavailable("the worker is draining; connect again");
    if (descriptors.hasNoneForSocket())
      throw unavailable("the worker has no descriptor left for a stream; connect again later");
    memory.admit(path);
  } catch (error) {
    if (error instanceof RequestError) return eventStreams.busy(error, caller);
    throw error;
  }
  call.liftLimit();
  return eventStreams.answer(request, { address, owner: caller, arrival }, new URLSearchParams(query));
}
