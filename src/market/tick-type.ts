/**
 * Characters of the longest type of tick, `data_type`. It is part of a key, of topics and of
 * frames.
 */
export const TYPE_LENGTH_MAX = 256;
