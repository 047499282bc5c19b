// Horizontal bars as SVG, on a logarithmic scale: the contenders lie decades
// apart.

/** One bar. */
export interface Bar {
  label: string;
  value: number;
  /** A thin line from `value` to here, such as the 99th percentile. */
  until?: number;
  /** Ours stand out. */
  ours: boolean;
}

/** What a chart says besides its bars. */
export interface ChartOptions {
  title: string;
  unit: string;
  bars: readonly Bar[];
}

const WIDTH = 760;
const LABEL_WIDTH = 210;
const VALUE_WIDTH = 110;
const ROW = 24;
const TOP = 56;

/** Draws the bars, as they come, from the top. */
export function drawChart({ title, unit, bars }: ChartOptions): string {
  const values = bars.flatMap(({ value, until }) => [value, until ?? value]);
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values) * 1.001));
  const span = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const x = (value: number) =>
    LABEL_WIDTH + span * Math.log(value / low) / Math.log(high / low);
  const height = TOP + bars.length * ROW + 16;
  const lines: string[] = [];
  for (let decade = low; decade <= high * 1.001; decade *= 10) {
    const at = x(decade).toFixed(1);
    lines.push(
      `<line x1="${at}" x2="${at}" y1="${TOP - 8}" y2="${
        height - 12
      }" stroke="#ddd"/>`,
      `<text x="${at}" y="${TOP - 14}" class="s" text-anchor="middle">${
        formatNumber(decade)
      }</text>`,
    );
  }
  bars.forEach(({ label, value, until, ours }, index) => {
    const y = TOP + index * ROW;
    const width = Math.max(2, x(value) - LABEL_WIDTH).toFixed(1);
    const end = x(until ?? value);
    lines.push(
      `<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">${
        escape(label)
      }</text>`,
      `<rect x="${LABEL_WIDTH}" y="${y}" width="${width}" height="16" fill="${
        ours ? "#1f6feb" : "#9aa4b2"
      }"/>`,
    );
    if (until !== undefined) {
      lines.push(
        `<line x1="${x(value).toFixed(1)}" x2="${end.toFixed(1)}" y1="${
          y + 8
        }" y2="${y + 8}" stroke="#444"/>`,
      );
    }
    const text = until === undefined
      ? formatNumber(value)
      : `${formatNumber(value)} / ${formatNumber(until)}`;
    lines.push(
      `<text x="${(end + 6).toFixed(1)}" y="${
        y + 13
      }" class="s">${text}</text>`,
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#222">
<style>.s{font-size:11px;fill:#555}</style>
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
<text x="12" y="22" font-size="15" font-weight="600">${escape(title)}</text>
<text x="${WIDTH - 12}" y="22" class="s" text-anchor="end">${
    escape(unit)
  }, logarithmic</text>
${lines.join("\n")}
</svg>
`;
}

/** Three digits that count, with separators. */
export function formatNumber(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

function escape(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
