const UNITS = ["bytes", "KB", "MB", "GB", "TB"];

/**
 * For people: 1,536 bytes are "1.5 KB". Disks are sold in powers of 1,000, and `df -H` shows them.
 */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}
