/** Characters of the longest `data_type` of a tick. It is part of keys, topics and frames. */
export const TYPE_LENGTH_MAX = 256;
