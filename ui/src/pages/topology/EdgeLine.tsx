/** One edge: as wide as it is busy, red and marked where requests fail, dashed where a queue lies between. */
import type { Point } from '../../lib/graphlayout';
import { letterSize } from '../../lib/mapzoom';
import { errorShare, type GraphEdge } from '../../lib/servicegraph';
import { formatDurationUs } from '../../lib/timeformat';
import { formatShare, formatValue } from '../../lib/units';

interface Props {
  edge: GraphEdge;
  path: string;
  zoom: number;
  isNear: boolean;
  isFar: boolean;
}

export function EdgeLine({ edge, path, zoom, isNear, isFar }: Props) {
  if (path === '') return null;
  const share = errorShare(edge);
  const classes = ['mapEdge', share > 0 ? 'failing' : '', isNear ? 'near' : '', isFar ? 'far' : ''];
  const dashed = edge.type === 'messaging_system' ? 'queue' : edge.type === 'virtual_node' ? 'outside' : '';
  return (
    <g className={[...classes, dashed].filter(Boolean).join(' ')}>
      <path
        d={path}
        fill="none"
        vectorEffect="non-scaling-stroke"
        strokeWidth={widthOf(edge.rate) * Math.min(1, Math.max(0.4, zoom))}
        strokeOpacity={0.35 + 0.65 * strengthOf(share)}
      >
        <title>{edgeText(edge)}</title>
      </path>
      <Head path={path} share={share} />
    </g>
  );
}

interface LabelProps {
  edge: GraphEdge;
  middle: Point;
  zoom: number;
}

/** Apart from the lines, so that none runs over it. */
export function EdgeLabel({ edge, middle, zoom }: LabelProps) {
  return (
    <text
      x={middle.x}
      y={middle.y - 5}
      fontSize={letterSize(zoom, 11)}
      textAnchor="middle"
      className={edge.failed > 0 ? 'mapEdgeText failing' : 'mapEdgeText'}
    >
      {labelOf(edge)}
    </text>
  );
}

/** From one to six: a request a minute and ten thousand a second are both seen. */
function widthOf(rate: number): number {
  return Math.min(6, 1.2 + Math.max(0, Math.log10(rate * 60 + 1)) * 0.8);
}

/** Of a hundred failures one counts already. */
function strengthOf(share: number): number {
  return share > 0 ? Math.min(1, 0.5 + share * 5) : 0.35;
}

export function labelOf(edge: GraphEdge): string {
  const share = errorShare(edge);
  return [
    formatValue(edge.rate, 'ps'),
    share > 0 && `✖ ${formatShare(share)}`,
    edge.p95 !== null && formatDurationUs(edge.p95 * 1e6),
  ]
    .filter(Boolean)
    .join(' · ');
}

function edgeText(edge: GraphEdge): string {
  const name = (key: string) => key.split('/').slice(2).join('/') || key;
  const p95 = edge.p95 === null ? '' : `, p95 ${formatDurationUs(edge.p95 * 1e6)}`;
  return `${name(edge.from)} → ${name(edge.to)}: ${formatValue(edge.rate, 'ps')}, ${formatShare(errorShare(edge))} failed${p95}`;
}

/** An arrow head of its own: a marker would take the width of its line. */
function Head({ path, share }: { path: string; share: number }) {
  const numbers = [...path.matchAll(/-?[\d.]+/g)].map((m) => Number(m[0]));
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = numbers.slice(-4);
  const angle = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
  return (
    <path
      d="M0 0L-9 -4.5L-9 4.5Z"
      className="mapHead"
      fillOpacity={0.35 + 0.65 * strengthOf(share)}
      transform={`translate(${x2} ${y2}) rotate(${angle})`}
    />
  );
}
