/** Messages that go to all clients of a channel: encoded once a worker and codec. */
import { CODECS, type CodecName, type DataMessages, type Encoded } from "./stream-codec.ts";

/** So many messages at most are one group; a group is never split. */
const GROUP_MESSAGES_MAX = 256;

export class EventGroup {
  readonly size: number;
  readonly #messages: DataMessages;
  readonly #encoded = new Map<CodecName, Encoded>();

  constructor(messages: DataMessages) {
    this.#messages = messages;
    this.size = messages.members.length;
  }

  in(codec: CodecName): Encoded {
    let encoded = this.#encoded.get(codec);
    if (encoded === undefined) {
      encoded = CODECS[codec].encode(this.#messages);
      this.#encoded.set(codec, encoded);
    }
    return encoded;
  }
}

export function inGroups({ T, S, members }: DataMessages): EventGroup[] {
  const groups: EventGroup[] = [];
  for (let start = 0; start < members.length; start += GROUP_MESSAGES_MAX)
    groups.push(new EventGroup({ T, S, members: members.slice(start, start + GROUP_MESSAGES_MAX) }));
  return groups;
}
