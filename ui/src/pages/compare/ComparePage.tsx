/** Two traces side by side: what was added, removed, slower and faster, by the way that leads to it. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { countDiff, type DiffNode, type DiffState, diffTraces, isChanged } from '../../lib/tracediff';
import { formatCount } from '../../lib/units';
import { usePatch } from '../../state/view';
import { DiffFlame } from './DiffFlame';
import { LOOKS, nodeName, OTHER_COUNT } from './diffLook';
import { DiffTable } from './DiffTable';
import { SideCard } from './SideCard';
import { useTraceSide } from './useTraceSide';
import './compare.css';

export default function ComparePage() {
  const search = useSearch({ from: '/traces/compare' });
  const patch = usePatch();
  const raw = search.clock === 'raw';
  const a = useTraceSide(search.a, raw);
  const b = useTraceSide(search.b, raw);
  const both = a.trace !== undefined && b.trace !== undefined;
  const nodes = useMemo(() => (both ? diffTraces(a.nodes, b.nodes) : []), [both, a.nodes, b.nodes]);
  const setSide = (side: 'a' | 'b') => (id: string) => patch({ [side]: id || undefined, focus: undefined });
  return (
    <div className="page comparePage">
      <div className="compareSides">
        <SideCard name="A" side={a} onId={setSide('a')} />
        <button
          type="button"
          className="btn"
          title="Swap the two"
          aria-label="Swap the two traces"
          onClick={() => patch({ a: search.b, b: search.a, focus: undefined })}
        >
          ⇄
        </button>
        <SideCard name="B" side={b} onId={setSide('b')} />
      </div>
      {both ? (
        <Difference nodes={nodes} sides={[a, b]} raw={raw} />
      ) : (
        <div className="empty">
          {a.loading || b.loading ? (
            <span className="busy" />
          ) : (
            <>
              <h2>Two traces are compared</h2>
              <p>
                A is what it was like, B what it became. Paste the ids, or open a trace and choose Compare: it becomes
                A.
              </p>
            </>
          )}
        </div>
      )}
    </div>
  );
}

interface DifferenceProps {
  nodes: readonly DiffNode[];
  sides: Parameters<typeof DiffTable>[0]['sides'];
  raw: boolean;
}

function Difference({ nodes, sides, raw }: DifferenceProps) {
  const search = useSearch({ from: '/traces/compare' });
  const patch = usePatch();
  const find = (search.find ?? '').trim().toLowerCase();
  const matches = useMemo(() => {
    if (find === '') return undefined;
    return new Set(nodes.flatMap((node, i) => (nodeName(node).toLowerCase().includes(find) ? [i] : [])));
  }, [nodes, find]);
  const rows = useMemo(
    () =>
      [...nodes.keys()].filter(
        (i) => (!matches || matches.has(i)) && (search.show !== 'changed' || isChanged(nodes[i] as DiffNode)),
      ),
    [nodes, matches, search.show],
  );
  const table = search.view === 'table';
  return (
    <>
      <div className="row compareTools">
        <Counts nodes={nodes} />
        <span className="grow" />
        <input
          className="field"
          data-query-target=""
          aria-label="Find paths"
          placeholder="Find: service or operation"
          value={search.find ?? ''}
          onChange={(event) => patch({ find: event.target.value || undefined }, 'replace')}
        />
        {matches ? (
          <span className="soft" role="status">
            {formatCount(matches.size)} match
          </span>
        ) : null}
        {table ? (
          <button
            type="button"
            className="btn"
            aria-pressed={search.show === 'changed'}
            onClick={() => patch({ show: search.show ? undefined : 'changed' })}
          >
            Only changes
          </button>
        ) : null}
        <button
          type="button"
          className="btn"
          aria-pressed={raw}
          title="Times as they were sent, by whatever clock"
          onClick={() => patch({ clock: raw ? undefined : 'raw' })}
        >
          Times as sent
        </button>
        <div className="group" role="group" aria-label="Show as">
          <button type="button" className="btn" aria-pressed={!table} onClick={() => patch({ view: undefined })}>
            Flame graph
          </button>
          <button type="button" className="btn" aria-pressed={table} onClick={() => patch({ view: 'table' })}>
            Table
          </button>
        </div>
      </div>
      <div className="panel compareMain">
        {table ? (
          <DiffTable nodes={nodes} rows={rows} sides={sides} />
        ) : (
          <DiffFlame nodes={nodes} sides={sides} matches={matches} />
        )}
      </div>
    </>
  );
}

const STATES: readonly DiffState[] = ['added', 'removed', 'slower', 'faster', 'same'];

function Counts({ nodes }: { nodes: readonly DiffNode[] }) {
  const counts = useMemo(() => countDiff(nodes), [nodes]);
  return (
    <ul className="row diffCounts" aria-label="Differences">
      {STATES.map((state) => (
        <li key={state}>
          <span className="diffSign" style={{ color: LOOKS[state].colour }} aria-hidden="true">
            {LOOKS[state].sign}
          </span>{' '}
          {formatCount(counts[state])} {LOOKS[state].word}
        </li>
      ))}
      {counts.otherCount > 0 ? (
        <li>
          <span className="diffSign" style={{ color: OTHER_COUNT.colour }} aria-hidden="true">
            {OTHER_COUNT.sign}
          </span>{' '}
          {formatCount(counts.otherCount)} {OTHER_COUNT.word}
        </li>
      ) : null}
    </ul>
  );
}
