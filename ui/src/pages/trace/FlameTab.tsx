/** The trace as a flame graph: spans of one operation under the same parents are one box, as wide as the time spent below. */
import { useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { Flame } from '../../chart/Flame';
import { type PathNode, pathTree } from '../../lib/paths';
import { formatDurationUs } from '../../lib/timeformat';
import { formatCount } from '../../lib/units';
import { usePatch } from '../../state/view';
import type { TraceModel } from './useTraceModel';

interface Props {
  model: TraceModel;
  matches: ReadonlySet<number>;
  colour: (service: string) => string;
  onSelect: (span: number) => void;
}

export function FlameTab({ model, matches, colour, onSelect }: Props) {
  const { trace, self } = model;
  const search = useSearch({ from: '/trace/$id' });
  const patch = usePatch();
  const { nodes, nodeOf } = useMemo(() => pathTree(trace.spans, self), [trace, self]);
  const boxes = useMemo(() => nodes.map(({ parent, depth, valueUs }) => ({ parent, depth, value: valueUs })), [nodes]);
  const whole = useMemo(() => nodes.reduce((sum, node) => sum + (node.parent < 0 ? node.valueUs : 0), 0), [nodes]);
  const focus = useMemo(() => {
    const at = search.focus ? trace.spans.findIndex((span) => span.id === search.focus) : -1;
    return at < 0 ? -1 : (nodeOf[at] ?? -1);
  }, [search.focus, trace, nodeOf]);
  const found = useMemo(() => {
    if (matches.size === 0) return undefined;
    return new Set([...matches].map((i) => nodeOf[i] ?? -1));
  }, [matches, nodeOf]);
  const look = useCallback(
    (at: number) => {
      const node = nodes[at] as PathNode;
      return {
        colour: node.missing ? 'var(--hatch)' : colour(node.service),
        strength: 0.6,
        text: nameOf(node),
        absent: node.missing,
        bad: node.errors > 0,
      };
    },
    [nodes, colour],
  );
  const facts = (at: number) => {
    const node = nodes[at] as PathNode;
    return { name: nameOf(node), rows: factsOf(node, whole) };
  };
  return (
    <Flame
      title="Flame graph"
      summary={`${formatCount(nodes.length)} paths of ${formatCount(trace.count)} spans. Arrow keys walk the boxes, Enter zooms; statistics and the table list the same.`}
      nodes={boxes}
      look={look}
      facts={facts}
      focus={focus}
      onFocus={(at) => patch({ focus: at < 0 || at === focus ? undefined : trace.spans[nodes[at]?.slowest ?? -1]?.id })}
      matches={found}
      foot={(at) => {
        const node = nodes[at];
        return (
          <>
            {node ? (
              <>
                <strong className="clip">{nameOf(node)}</strong>
                {factsOf(node, whole).map(([name, value]) => (
                  <span key={name} className="soft">
                    {name} <span className="num">{value}</span>
                  </span>
                ))}
                {node.missing ? null : (
                  <button type="button" className="btn" onClick={() => onSelect(node.slowest)}>
                    {node.count > 1 ? 'Its slowest span' : 'Its span'}
                  </button>
                )}
              </>
            ) : (
              <span className="soft">
                As wide as the time spent in spans and below them; work at the same time adds up. Click to zoom.
              </span>
            )}
            <span className="grow" />
            {focus >= 0 ? (
              <button type="button" className="btn" onClick={() => patch({ focus: undefined })}>
                Show all
              </button>
            ) : null}
          </>
        );
      }}
    />
  );
}

function nameOf(node: PathNode): string {
  return node.missing
    ? 'missing span'
    : `${node.service} ${node.operation}${node.count > 1 ? ` ×${formatCount(node.count)}` : ''}`;
}

function factsOf(node: PathNode, whole: number): [string, string][] {
  const share = whole > 0 ? Math.round((1000 * node.valueUs) / whole) / 10 : 0;
  return [
    ['Spans', formatCount(node.count)],
    ...(node.errors > 0 ? [['Errors', formatCount(node.errors)] as [string, string]] : []),
    ['Total', formatDurationUs(node.totalUs)],
    ['Self', formatDurationUs(node.selfUs)],
    ['Share', `${share} %`],
  ];
}
