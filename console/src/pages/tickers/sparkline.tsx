/** A line as small as a word. */

const WIDTH = 96;
const HEIGHT = 24;
const INSET = 2;

export function Sparkline({ values, what }: { values: readonly number[]; what: string }) {
  if (values.length < 2) return null;
  const low = Math.min(...values);
  const range = Math.max(...values) - low || 1;
  const step = (WIDTH - 2 * INSET) / (values.length - 1);
  const points = values.map((value, i) => {
    const y = HEIGHT - INSET - ((value - low) / range) * (HEIGHT - 2 * INSET);
    return `${(INSET + i * step).toFixed(1)},${y.toFixed(1)}`;
  });
  const isUp = values.at(-1)! >= values[0]!;
  const label = `${isUp ? "Up" : "Down"}, ${what}`;
  return (
    <svg class={`spark ${isUp ? "up" : "down"}`} width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
      <title>{label}</title>
      <polyline points={points.join(" ")} fill="none" stroke="currentColor" stroke-width="1.5" />
    </svg>
  );
}
