export interface Carrier {
  /** Safe to log: no user, no password. */
  readonly shown: string;
  /** Never logged, whatever a client library puts into its errors. */
  readonly secrets: readonly string[];
  /** Messages under way at once. Beyond it, updates wait and then share a message. */
  readonly sendsAtOnce: number;
  /** False: a message has room for positions only. */
  readonly carriesFrames: boolean;
  /**
   * Opens one connection, with a subscription that the broker has confirmed. A lost connection is
   * replaced, never repaired: client libraries repair it differently, and don't say whether they
   * still subscribe. Leaves nothing open when it rejects.
   */
  open(channel: string, events: LinkEvents): Promise<Link>;
}

export interface LinkEvents {
  message(text: string): void;
  /** The connection can't be used any more. May be called repeatedly, and after `close`. */
  lost(reason: string): void;
}

export interface Link {
  /** In UTF-8. */
  readonly messageBytesMax: number;
  /** Resolves when the broker has it. */
  send(text: string): Promise<void>;
  /** Resolves when the broker answers: through the subscription, if that can die alone. */
  probe(): Promise<void>;
  close(): Promise<void>;
}
