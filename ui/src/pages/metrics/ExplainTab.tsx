/** How the engine reads a query and what answering it cost: the tree of its parts, and the numbers that came with the answer. */
import { useMemo, useState } from 'react';
import { parseQuery } from '../../api/explain';
import type { PromResult, QueryStats } from '../../api/prom';
import { type PlanRow, planRows, unfolded } from '../../lib/explain';
import { formatBytes, formatCount, formatValue } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useAnswerAbout } from '../../state/answers';
import { useView } from '../../state/view';

interface Props {
  expr: string;
  result: PromResult | undefined;
}

export function ExplainTab({ expr, result }: Props) {
  const { tenant } = useView();
  const tree = useAnswerAbout(expr, ['parse', tenant], (signal) => parseQuery(expr, { tenant, signal }));
  const rows = useMemo(() => (tree.own ? planRows(tree.own.data) : []), [tree.own]);
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string) => {
    const next = new Set(folded);
    if (!next.delete(id)) next.add(id);
    setFolded(next);
  };
  if (tree.error) return <Problem error={tree.error} query={expr} onRetry={tree.refetch} />;
  const shown = unfolded(rows, folded);
  return (
    <div className="explain">
      <Cost stats={result?.stats ?? null} />
      <div className="explainTree" role="tree" aria-label="Parts of the query" onKeyDown={moveFocus}>
        {shown.map((row, i) => (
          <TreeRow key={row.id} row={row} first={i === 0} folded={folded.has(row.id)} onToggle={() => toggle(row.id)} />
        ))}
      </div>
    </div>
  );
}

interface RowProps {
  row: PlanRow;
  first: boolean;
  folded: boolean;
  onToggle: () => void;
}

function TreeRow({ row, first, folded, onToggle }: RowProps) {
  const foldable = row.children > 0;
  return (
    <div
      role="treeitem"
      aria-level={row.depth + 1}
      aria-expanded={foldable ? !folded : undefined}
      className="explainRow"
      tabIndex={first ? 0 : -1}
      onClick={foldable ? onToggle : undefined}
      onKeyDown={(event) => {
        const wants = event.key === 'ArrowRight' ? folded : event.key === 'ArrowLeft' ? !folded : event.key === 'Enter';
        if (!foldable || !wants) return;
        event.preventDefault();
        onToggle();
      }}
    >
      <span className="explainLines" aria-hidden="true">
        {row.open.slice(1).map((goesOn, i) => (
          <span key={i} className={goesOn ? 'explainLine' : 'explainLine none'} />
        ))}
        {row.depth > 0 ? <span className={row.last ? 'explainElbow last' : 'explainElbow'} /> : null}
      </span>
      <code className="explainTitle">{row.title}</code>
      <span className="tag">{row.kind}</span>
      {folded ? <span className="faint">{row.children} below</span> : null}
    </div>
  );
}

/** Up and down between the rows, as a tree has it. */
function moveFocus(event: React.KeyboardEvent): void {
  const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  if (by === 0) return;
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('[role="treeitem"]')];
  const next = rows[rows.indexOf(document.activeElement as HTMLElement) + by];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

/** Names of `stats=all`, as Prometheus and this node send them, in words. What else comes is shown under its own name. */
const WORDS: Record<string, string> = {
  execTotalTime: 'Total',
  execQueueTime: 'Waited',
  evalTotalTime: 'Evaluated',
  queryPreparationTime: 'Prepared',
  innerEvalTime: 'Computed',
  resultSortTime: 'Sorted',
  totalQueryableSamples: 'Samples read',
  peakSamples: 'Most samples at once',
  series: 'Series read',
  peakBytes: 'Most memory',
};

function Cost({ stats }: { stats: QueryStats | null }) {
  const times = Object.entries(stats?.timings ?? {}).map(([name, value]) => [name, formatValue(value, 'seconds')]);
  const counts = Object.entries(stats?.samples ?? {}).flatMap(([name, value]) =>
    typeof value === 'number' ? [[name, /bytes/i.test(name) ? formatBytes(value) : formatCount(value)]] : [],
  );
  return (
    <dl className="explainCost">
      {[...times, ...counts].map(([name = '', value]) => (
        <div key={name}>
          <dt>{WORDS[name] ?? name}</dt>
          <dd className="num">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
