/** A line of one column of numbers, in the order of the rows. */
import type { Outcome } from "./run.ts";

const WIDTH = 800;
const HEIGHT = 200;
/** More points than the line has pixels show no more. */
const POINTS_MAX = 2_000;

export function QuickChart({ outcome, column }: { outcome: Outcome; column: string }) {
  const values = outcome.rows.map((row) => row[column]).filter((value) => typeof value === "number");
  const step = Math.max(1, Math.ceil(values.length / POINTS_MAX));
  const shown = values.filter((_, at) => at % step === 0);
  const low = Math.min(...shown);
  const high = Math.max(...shown);
  const x = (at: number) => (at / Math.max(1, shown.length - 1)) * WIDTH;
  const y = (value: number) => HEIGHT - ((value - low) / (high - low || 1)) * HEIGHT;
  const points = shown.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const what = `${column}: ${values.length} values from ${low} to ${high}`;
  return (
    <figure class="quick-chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={what}>
        <polyline points={points} fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" />
      </svg>
      <figcaption class="muted">
        {what}
        {step > 1 && `; each ${step}th is drawn`}
      </figcaption>
    </figure>
  );
}
