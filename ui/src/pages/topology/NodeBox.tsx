/** One node: its name, which leads to its page, its numbers, and a shape that says what it is. */
import type { Point } from '../../lib/graphlayout';
import { cutText, letterSize } from '../../lib/mapzoom';
import { errorShare, type GraphNode, KIND_WORDS } from '../../lib/servicegraph';
import { formatDurationUs } from '../../lib/timeformat';
import { formatCount, formatShare, formatValue } from '../../lib/units';

export const NODE_WIDE = 172;
export const NODE_TALL = 50;

interface Props {
  node: GraphNode;
  place: Point;
  index: number;
  zoom: number;
  isDetailed: boolean;
  /** Cut to its box, whole across it, or none. */
  naming: 'cut' | 'whole' | 'none';
  isFocusable: boolean;
  isCurrent: boolean;
  isFound: boolean;
  isFar: boolean;
  onPick: () => void;
  onOpen: () => void;
  /** To the page of the service. */
  onPage: () => void;
  onHover: (key: string | null) => void;
  onFocus: () => void;
}

export function NodeBox(props: Props) {
  const { node, place, index, zoom, isDetailed, naming, isFocusable, onPick, onOpen, onHover } = props;
  const share = errorShare(node);
  const letter = letterSize(zoom, 12.5);
  const [left, top] = [-NODE_WIDE / 2, -NODE_TALL / 2];
  const classes = ['mapNode', node.kind, share > 0 ? 'failing' : '', props.isCurrent ? 'current' : ''];
  const state = [props.isFound ? 'found' : '', props.isFar ? 'far' : ''];
  return (
    <g
      className={[...classes, ...state].filter(Boolean).join(' ')}
      transform={`translate(${place.x} ${place.y})`}
      data-node={index}
      role="button"
      tabIndex={isFocusable ? 0 : -1}
      aria-pressed={props.isCurrent}
      onClick={onPick}
      onDoubleClick={node.kind === 'group' ? onOpen : undefined}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        onPick();
      }}
      onFocus={props.onFocus}
      onMouseEnter={() => onHover(node.key)}
      onMouseLeave={() => onHover(null)}
    >
      {/* Its name for those who listen, too. */}
      <title>{nodeText(node)}</title>
      <Shape node={node} left={left} top={top} />
      {naming === 'none' ? null : (
        <Name
          node={node}
          letter={letter}
          isWhole={naming === 'whole'}
          y={isDetailed ? -8 : letter * 0.35}
          onPage={node.kind === 'service' ? props.onPage : undefined}
        />
      )}
      {isDetailed ? (
        <>
          <text x={left + 12} y={9} fontSize={11} className="mapNumbers">
            {cutText(numbersOf(node), NODE_WIDE - 16, 11)}
          </text>
          <text x={left + 12} y={21} fontSize={9.5} className="mapPlace">
            {cutText(placeOf(node), NODE_WIDE - 20, 9.5)}
          </text>
        </>
      ) : null}
    </g>
  );
}

function Shape({ node, left, top }: { node: GraphNode; left: number; top: number }) {
  const [wide, tall] = [NODE_WIDE, NODE_TALL];
  if (node.kind === 'database') {
    // A drum lying on its side would not hold a name: it stands, with a lid.
    const d = `M${left} ${top + 3}Q${left} ${top - 2} ${left + wide / 2} ${top - 2}T${left + wide} ${top + 3}V${top + tall - 3}Q${left + wide} ${top + tall + 2} ${left + wide / 2} ${top + tall + 2}T${left} ${top + tall - 3}Z`;
    const lid = `M${left} ${top + 3}Q${left} ${top + 7} ${left + wide / 2} ${top + 7}T${left + wide} ${top + 3}`;
    return (
      <>
        <path d={d} className="mapShape" />
        <path d={lid} className="mapLid" fill="none" />
      </>
    );
  }
  if (node.kind === 'messaging') {
    const d = `M${left + 10} ${top}H${left + wide}L${left + wide - 10} ${top + tall}H${left}Z`;
    return <path d={d} className="mapShape" />;
  }
  const round = node.kind === 'user' ? tall / 2 : 5;
  return (
    <>
      {node.kind === 'group' ? (
        <rect x={left + 5} y={top - 5} width={wide} height={tall} rx={round} className="mapShape behind" />
      ) : null}
      <rect x={left} y={top} width={wide} height={tall} rx={round} className="mapShape" />
      <rect x={left} y={top + 6} width={4} height={tall - 12} rx={2} className="mapState" />
    </>
  );
}

interface NameProps {
  node: GraphNode;
  letter: number;
  isWhole: boolean;
  y: number;
  onPage: (() => void) | undefined;
}

/** No link: one inside of a button is none. The panel of a node has it. */
function Name({ node, letter, isWhole, y, onPage }: NameProps) {
  const name = node.name || 'no name';
  const text = isWhole ? name : cutText(name, NODE_WIDE - 20, letter);
  return (
    <text
      x={isWhole ? 0 : -NODE_WIDE / 2 + 12}
      y={y}
      fontSize={letter}
      textAnchor={isWhole ? 'middle' : 'start'}
      className={['mapName', onPage ? 'leads' : '', isWhole ? 'whole' : ''].filter(Boolean).join(' ')}
      onClick={
        onPage &&
        ((event) => {
          event.stopPropagation();
          onPage();
        })
      }
    >
      {text}
    </text>
  );
}

function numbersOf(node: GraphNode): string {
  const share = errorShare(node);
  if (node.rate === 0)
    return node.kind === 'service' || node.kind === 'group' ? 'serves nothing' : KIND_WORDS[node.kind];
  const parts = [
    formatValue(node.rate, 'ps'),
    share > 0 && `✖ ${formatShare(share)}`,
    node.kind !== 'group' && node.p95 !== null && formatDurationUs(node.p95 * 1e6),
  ];
  return parts.filter(Boolean).join(' · ');
}

function placeOf(node: GraphNode): string {
  const group = `${formatCount(node.members)} services`;
  const parts = node.kind === 'group' ? [group, node.namespace ? node.cluster : ''] : [node.namespace, node.cluster];
  const where = parts.filter(Boolean).join(' · ');
  const isSaid = node.kind === 'service' || node.kind === 'group' || node.rate === 0;
  const what = isSaid ? '' : KIND_WORDS[node.kind];
  return [what, where].filter(Boolean).join(' · ');
}

export function nodeText(node: GraphNode): string {
  const p95 = node.p95 === null ? '' : `, p95 ${formatDurationUs(node.p95 * 1e6)}`;
  const kind = node.kind === 'group' ? `group of ${node.members}` : KIND_WORDS[node.kind];
  const where = [node.namespace, node.cluster].filter(Boolean).join(', ');
  const numbers = `${formatValue(node.rate, 'ps')}, ${formatShare(errorShare(node))} failed${p95}`;
  return `${node.name}, ${kind}${where ? `, ${where}` : ''}: ${numbers}`;
}
