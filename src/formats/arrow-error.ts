/** The rows of a request can't be read as Arrow. The client gets the message as it is. */
export class ArrowError extends Error {
  override name = "ArrowError";
}
