/** A line of a word's height. The number beside it is its text; on its own it is only a shape, so it is hidden from readers. */
interface Props {
  values: readonly (number | null)[];
  colour: string;
  width?: number;
  height?: number;
}

export function Sparkline({ values, colour, width = 120, height = 20 }: Props) {
  const path = sparkPath(values, width, height);
  return (
    <svg
      className="spark"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      aria-hidden="true"
      preserveAspectRatio="none"
    >
      <path
        d={path}
        fill="none"
        stroke={colour}
        strokeWidth="1.25"
        strokeLinejoin="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}

/** From zero up, so that two lines under each other compare; gaps stay gaps. */
export function sparkPath(values: readonly (number | null)[], width: number, height: number): string {
  const top = Math.max(0, ...values.map((value) => value ?? 0));
  const dx = width / Math.max(1, values.length - 1);
  let out = '';
  let open = false;
  values.forEach((value, i) => {
    if (value === null) {
      open = false;
      return;
    }
    const y = height - 1.5 - (top > 0 ? value / top : 0) * (height - 3);
    out += `${open ? 'L' : 'M'}${(i * dx).toFixed(1)} ${y.toFixed(1)}`;
    open = true;
  });
  return out;
}
