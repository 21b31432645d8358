/**
 * Draws lines in panels side by side, as SVG: just what the plots of docs/ need. Colours and greys
 * are readable on a light and on a dark page; nothing is drawn behind.
 */

export interface Plot {
  title: string;
  /** What the colours mean, in the order of every panel's lines. */
  names: string[];
  y: Axis;
  panels: Panel[];
}

interface Panel {
  title: string;
  x: Axis;
  /** Of each name, or null where it has none here. */
  lines: (Point[] | null)[];
}

export interface Axis {
  label: string;
  scale: "linear" | "log";
  /** The first and the last are the ends of the axis. */
  ticks: { at: number; text: string }[];
}

export type Point = [x: number, y: number];

const PANEL = { width: 250, height: 220, gap: 34 };
const MARGIN = { left: 58, right: 16, top: 74, bottom: 46 };
const COLOURS = ["#8a8f98", "#2f81f7", "#e8762d", "#2da44e", "#a371f7"];
const INK = "#7d8590";
const LEGEND_LETTER_WIDTH = 6.4;
/** Dots are drawn where a line has few enough points for them to be told apart. */
const DOTS_MAX = 12;

export function drawPlot({ title, names, y, panels }: Plot): string {
  const width = MARGIN.left + panels.length * (PANEL.width + PANEL.gap) - PANEL.gap + MARGIN.right;
  const height = MARGIN.top + PANEL.height + MARGIN.bottom;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
      `role="img" font-family="system-ui, sans-serif" font-size="11" fill="${INK}">`,
    `<title>${escapeXml(title)}</title>`,
    text({ x: MARGIN.left, y: 18, anchor: "start", of: title, size: 13 }),
    ...legend(names),
    ...panels.flatMap((panel, i) =>
      drawPanel(panel, y, MARGIN.left + i * (PANEL.width + PANEL.gap), i === 0),
    ),
    "</svg>\n",
  ].join("\n");
}

function legend(names: string[]): string[] {
  let x = MARGIN.left;
  return names.flatMap((name, i) => {
    const at = x;
    x += 36 + name.length * LEGEND_LETTER_WIDTH;
    return [
      `<line x1="${at}" x2="${at + 16}" y1="36" y2="36" stroke="${COLOURS[i]}" stroke-width="2.5"/>`,
      text({ x: at + 21, y: 40, anchor: "start", of: name }),
    ];
  });
}

function drawPanel(panel: Panel, yAxis: Axis, left: number, isFirst: boolean): string[] {
  const bottom = MARGIN.top + PANEL.height;
  const toX = scaleOf(panel.x, left, left + PANEL.width);
  const toY = scaleOf(yAxis, bottom, MARGIN.top);
  const grid = (x1: number, y1: number, x2: number, y2: number) =>
    `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${INK}" stroke-opacity="0.3"/>`;
  return [
    text({ x: left + PANEL.width / 2, y: MARGIN.top - 10, anchor: "middle", of: panel.title, size: 12 }),
    ...yAxis.ticks.flatMap((tick) => [
      grid(left, toY(tick.at), left + PANEL.width, toY(tick.at)),
      ...(isFirst ? [text({ x: left - 6, y: toY(tick.at) + 4, anchor: "end", of: tick.text })] : []),
    ]),
    ...panel.x.ticks.flatMap((tick) => [
      grid(toX(tick.at), bottom, toX(tick.at), bottom + 4),
      text({ x: toX(tick.at), y: bottom + 17, anchor: "middle", of: tick.text }),
    ]),
    text({ x: left + PANEL.width / 2, y: bottom + 36, anchor: "middle", of: panel.x.label }),
    ...(isFirst ? [verticalText(14, MARGIN.top + PANEL.height / 2, yAxis.label)] : []),
    ...panel.lines.flatMap((points, i) => (points === null ? [] : drawLine(points, COLOURS[i]!, toX, toY))),
  ];
}

function drawLine(
  points: Point[],
  colour: string,
  toX: (x: number) => number,
  toY: (y: number) => number,
): string[] {
  const places = points.map(([x, y]) => [round(toX(x)), round(toY(y))] as const);
  const dots = places.length > DOTS_MAX ? [] : places;
  return [
    `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${places.map((p) => p.join(",")).join(" ")}"/>`,
    ...dots.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`),
  ];
}

/** What lies outside the axis is drawn at its end. */
function scaleOf({ scale, ticks }: Axis, from: number, to: number): (value: number) => number {
  const place = scale === "log" ? Math.log : (value: number) => value;
  const [low, high] = [ticks[0]!.at, ticks.at(-1)!.at];
  return (value) => {
    const inside = Math.min(high, Math.max(low, value));
    return from + ((to - from) * (place(inside) - place(low))) / (place(high) - place(low));
  };
}

interface Label {
  x: number;
  y: number;
  anchor: "start" | "middle" | "end";
  of: string;
  size?: number;
}

function text({ x, y, anchor, of, size }: Label): string {
  const font = size === undefined ? "" : ` font-size="${size}"`;
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${font}>${escapeXml(of)}</text>`;
}

function verticalText(x: number, y: number, of: string): string {
  return `<text transform="translate(${x} ${y}) rotate(-90)" text-anchor="middle">${escapeXml(of)}</text>`;
}

function escapeXml(of: string): string {
  return of.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
