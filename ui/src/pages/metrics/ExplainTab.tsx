/** How the engine reads a query and what answering it cost: the tree of its parts, and the numbers that came with the answer. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { parseQuery } from '../../api/explain';
import type { PromResult, QueryStats } from '../../api/prom';
import { measuredRows, type PlanRow, planRows, unfolded } from '../../lib/explain';
import { formatBytes, formatCount, formatValue } from '../../lib/units';
import { Problem } from '../../parts/Problem';
import { useAnswerAbout } from '../../state/answers';
import { usePatch, useView } from '../../state/view';

interface Props {
  /** The letter of the query. */
  name: string;
  expr: string;
  result: PromResult | undefined;
}

export function ExplainTab({ name, expr, result }: Props) {
  const { asker } = useView();
  const { fold } = useSearch({ from: '/metrics' });
  const patch = usePatch();
  const plan = result?.expr === expr ? result.plan : null;
  // Without a measured plan the tree of the text is what there is to show.
  const wanted = result !== undefined && plan === null;
  const tree = useAnswerAbout(expr, ['parse', asker], (signal) => parseQuery(expr, { ...asker, signal }), {
    enabled: wanted,
  });
  const rows = useMemo(() => {
    if (plan) return measuredRows(plan);
    return tree.own ? planRows(tree.own.data) : [];
  }, [plan, tree.own]);
  const all = (fold ?? '').split(',').filter(Boolean);
  const folded = new Set(all.flatMap((one) => (one.startsWith(name) ? [one.slice(name.length)] : [])));
  const toggle = (id: string) => {
    const key = name + id;
    const next = all.includes(key) ? all.filter((one) => one !== key) : [...all, key];
    patch({ fold: next.join(',') || undefined }, 'replace');
  };
  if (wanted && tree.error) return <Problem error={tree.error} query={expr} onRetry={tree.refetch} />;
  const shown = unfolded(rows, folded);
  const measured = plan !== null;
  return (
    <div className="explain">
      <Cost stats={result?.stats ?? null} />
      {shown.length === 0 ? null : (
        <div
          className={measured ? 'explainTree measured' : 'explainTree'}
          role="treegrid"
          aria-label="Parts of the query"
          onKeyDown={moveFocus}
        >
          <div role="row" className="explainRow explainHead">
            {(measured ? HEADERS : HEADERS.slice(0, 1)).map(([title, says]) => (
              <span key={title} role="columnheader" title={says}>
                {title}
              </span>
            ))}
          </div>
          {shown.map((row, i) => (
            <TreeRow
              key={row.id}
              row={row}
              first={i === 0}
              folded={folded.has(row.id)}
              onToggle={() => toggle(row.id)}
            />
          ))}
        </div>
      )}
      {measured ? (
        <p className="soft explainSays">
          Time is that of a part with all below it, the strong bar its own; of work spread over cores the sum. Parts
          that share a read show the same one.
        </p>
      ) : null}
    </div>
  );
}

const HEADERS = [
  ['Part', 'What is computed, from the outermost inwards'],
  ['Time', 'With all below it'],
  ['Own', 'Of this part alone'],
  ['Series', 'In its result, or read for it'],
  ['Bytes', 'Of its result, or read for it'],
  ['Samples read', 'From the store, on its behalf'],
  ['Read in', 'Time the store took'],
] as const;

interface RowProps {
  row: PlanRow;
  first: boolean;
  folded: boolean;
  onToggle: () => void;
}

function TreeRow({ row, first, folded, onToggle }: RowProps) {
  const foldable = row.children > 0;
  const { cost } = row;
  return (
    <div
      role="row"
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
      <span role="gridcell" className="explainPart">
        <span className="explainLines" aria-hidden="true">
          {row.open.slice(1).map((goesOn, i) => (
            <span key={i} className={goesOn ? 'explainLine' : 'explainLine none'} />
          ))}
          {row.depth > 0 ? <span className={row.last ? 'explainElbow last' : 'explainElbow'} /> : null}
        </span>
        <code className="explainTitle" title={row.title}>
          {row.title}
        </code>
        {row.kind ? <span className="tag">{row.kind}</span> : null}
        {cost?.remarks.map((text) => (
          <span key={text} className="tag good">
            {text}
          </span>
        ))}
        {folded ? <span className="faint">{row.children} below</span> : null}
      </span>
      {cost ? <Costs cost={cost} /> : null}
    </div>
  );
}

function Costs({ cost }: { cost: NonNullable<PlanRow['cost']> }) {
  return (
    <>
      <span role="gridcell" className="explainTime">
        <span className="explainBar" aria-hidden="true">
          <span style={{ width: `${cost.share * 100}%` }} />
          <span className="own" style={{ width: `${cost.ownShare * 100}%` }} />
        </span>
        <span className="num">{formatValue(cost.seconds, 'seconds')}</span>
      </span>
      <span role="gridcell" className="num">
        {formatValue(cost.ownSeconds, 'seconds')}
      </span>
      <span role="gridcell" className="num">
        {cost.series === null ? '–' : formatCount(cost.series)}
      </span>
      <span role="gridcell" className="num">
        {cost.bytes === null ? '–' : formatBytes(cost.bytes)}
      </span>
      <span role="gridcell" className="num">
        {cost.read ? formatCount(cost.read.samples) : '–'}
      </span>
      <span role="gridcell" className="num">
        {cost.read ? formatValue(cost.read.seconds, 'seconds') : '–'}
      </span>
    </>
  );
}

/** Up and down between the rows, as a tree has it. */
function moveFocus(event: React.KeyboardEvent): void {
  const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  if (by === 0) return;
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('[role="row"][tabindex]')];
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
  totalQueryableSamples: 'Samples evaluated',
  samplesRead: 'Samples read',
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
