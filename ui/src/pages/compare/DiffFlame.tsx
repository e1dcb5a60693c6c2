/** Both traces in one flame graph: each path once, coloured by what became of it. */
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { Flame } from '../../chart/Flame';
import { type DiffNode, isChanged } from '../../lib/tracediff';
import { formatCount } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon, usePatch } from '../../state/view';
import { countText, factsOf, lookOf, nodeName, strength } from './diffLook';
import type { TraceSide } from './useTraceSide';

interface Props {
  nodes: readonly DiffNode[];
  sides: readonly [TraceSide, TraceSide];
  matches: ReadonlySet<number> | undefined;
}

export function DiffFlame({ nodes, sides, matches }: Props) {
  const search = useSearch({ from: '/traces/compare' });
  const patch = usePatch();
  const navigate = useNavigate();
  const look = useCallback(
    (at: number) => {
      const node = nodes[at] as DiffNode;
      const { sign, colour } = lookOf(node);
      return {
        colour: node.missing ? 'var(--hatch)' : colour,
        strength: strength(node),
        text: `${isChanged(node) ? `${sign} ` : ''}${nodeName(node)} ${countText(node)}`,
        absent: node.missing || node.state === 'removed',
        bad: node.b.errors > node.a.errors,
      };
    },
    [nodes],
  );
  const open = (side: TraceSide, index: number) => {
    const span = side.trace?.spans[index];
    if (!side.trace || !span) return;
    const find = (before: CommonSearch) => ({ ...pickCommon(before), span: span.id });
    void navigate({ to: '/trace/$id', params: { id: side.trace.id }, search: find });
  };
  const focus = search.focus !== undefined && search.focus < nodes.length ? search.focus : -1;
  const boxes = useMemo(() => nodes.map(({ parent, depth, value }) => ({ parent, depth, value })), [nodes]);
  return (
    <Flame
      title="Flame graph of both traces"
      summary={`${formatCount(nodes.length)} paths. Arrow keys walk the boxes, Enter zooms; the table lists the same.`}
      nodes={boxes}
      look={look}
      facts={(at) => ({ name: nodeName(nodes[at] as DiffNode), rows: factsOf(nodes[at] as DiffNode) })}
      focus={focus}
      onFocus={(at) => patch({ focus: at < 0 || at === focus ? undefined : at })}
      matches={matches}
      foot={(at) => {
        const node = nodes[at];
        return (
          <>
            {node ? (
              <>
                <strong className="clip">{nodeName(node)}</strong>
                {factsOf(node).map(([name, value]) => (
                  <span key={name} className="soft">
                    {name} <span className="num">{value}</span>
                  </span>
                ))}
                {(['a', 'b'] as const).map((which, i) =>
                  node[which].slowest >= 0 ? (
                    <button
                      key={which}
                      type="button"
                      className="btn"
                      onClick={() => open(sides[i] as TraceSide, node[which].slowest)}
                    >
                      Slowest in {which.toUpperCase()}
                    </button>
                  ) : null,
                )}
              </>
            ) : (
              <span className="soft">As wide as the time spent in both traces together. Click to zoom.</span>
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
