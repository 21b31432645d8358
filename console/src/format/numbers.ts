/** How numbers are written: as the reader's language has them, as exact as they matter. */

const MISSING = "–";
const prices = new Map<number, Intl.NumberFormat>();
const counts = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(undefined, {
  style: "percent",
  signDisplay: "exceptZero",
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

/** Two decimals, and more where the price has them or is small. */
export function priceText(price: number | null | undefined): string {
  if (price === null || price === undefined || !Number.isFinite(price)) return MISSING;
  const size = Math.abs(price);
  const digits = size >= 1_000 ? 2 : size >= 1 ? 4 : 8;
  let format = prices.get(digits);
  if (format === undefined) {
    format = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: digits });
    prices.set(digits, format);
  }
  return format.format(price);
}

export function countText(count: number | null | undefined): string {
  return count === null || count === undefined ? MISSING : counts.format(count);
}

/** `109M`: for a column that is compared by eye. */
export function shortText(count: number | null | undefined): string {
  return count === null || count === undefined ? MISSING : short.format(count);
}

/** @param part 0.01 is one percent */
export function percentText(part: number | null | undefined): string {
  return part === null || part === undefined || !Number.isFinite(part) ? MISSING : percents.format(part);
}

/** `88.5 MB`; sizes go by 1,000. */
export function bytesText(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const size = bytes / 1_000 ** unit;
  return `${size.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}
