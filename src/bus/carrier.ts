/** What a message broker must do to carry the bus. Each carrier is one file. */

export interface Carrier {
  /** For logs: no user, no password. */
  readonly shown: string;
  /** What must not appear in a log line, whatever a client library puts into its errors. */
  readonly secrets: readonly string[];
  /** Messages on their way to the broker; beyond it updates wait and then travel together. */
  readonly sendsAtOnce: number;
  /** False: messages are too small for more than positions. */
  readonly carriesFrames: boolean;
  /**
   * One connection, with a subscription that the broker has confirmed. It is never mended: what a
   * client library does to mend one differs, and whether it still subscribes afterwards can't be
   * seen. Rejects if it can't be had; nothing is left open then.
   */
  open(channel: string, events: LinkEvents): Promise<Link>;
}

export interface LinkEvents {
  message(text: string): void;
  /** The connection is of no use any more. May be called more than once, and after `close`. */
  lost(reason: string): void;
}

export interface Link {
  /** Bytes of one message, in UTF-8. */
  readonly messageBytesMax: number;
  /** Resolves when the broker has it. */
  send(text: string): Promise<void>;
  /**
   * Resolves when the way to the broker and back has been gone, through a subscription where there
   * can be doubt about that.
   */
  probe(): Promise<void>;
  close(): Promise<void>;
}
