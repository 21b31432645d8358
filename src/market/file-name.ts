/**
 * A ticker or part as the name of a file or folder, which can be read back: all but letters,
 * digits, `.`, `_` and `-` is percent-encoded, as in a URL, and so are the few letters that would
 * make a name mean something to a system.
 */

/** What Windows takes for a device, whatever the ending. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/** @throws URIError The text isn't well-formed. */
export function fileNameOf(text: string): string {
  const name = encodeURIComponent(text).replaceAll(/[!'()*~]/g, percent);
  // A dot or a hyphen in front means something to systems, an underscore to readers of folders.
  const begun = DEVICE.test(name) || /^[._-]/.test(name) ? percent(name[0]!) + name.slice(1) : name;
  return begun.endsWith(".") ? `${begun.slice(0, -1)}${percent(".")}` : begun;
}

/** @throws URIError It is no such name. */
export function textOfFileName(name: string): string {
  return decodeURIComponent(name);
}

/** @param char of ASCII. */
export function percent(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
