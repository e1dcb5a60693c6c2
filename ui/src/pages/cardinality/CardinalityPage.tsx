/** Where series come from: metrics, labels, pairs, churn, and what leaving labels out would save. */
import { useSearch } from '@tanstack/react-router';
import { narrow, parseSelector, selector } from '../../lib/promtext';
import { Problem } from '../../parts/Problem';
import { usePatch } from '../../state/view';
import { Churn } from './Churn';
import { LabelTable } from './LabelTable';
import { RankTable, type RankRow } from './RankTable';
import { Scope } from './Scope';
import { Totals } from './Totals';
import { DEFAULT_LIMIT, useCardinality } from './useCardinality';
import { WhatIf } from './WhatIf';
import './cardinality.css';

/** Rows of a list: the long tail is found by narrowing the scope. */
const ROWS = 100;

export default function CardinalityPage() {
  const search = useSearch({ from: '/metrics/cardinality' });
  const patch = usePatch();
  const limit = search.limit ?? DEFAULT_LIMIT;
  const wrong = search.match !== undefined && parseSelector(search.match) === null;
  const data = useCardinality(search.match, limit);
  const { found, status, scope } = data;
  const total = status?.series ?? found?.series ?? 0;
  const go = (next: string) => patch({ match: next, label: undefined, drop: undefined });
  const into = (name: string, value: string) => {
    const base = scope ?? { metric: '', matchers: [] };
    if (name === '__name__') go(selector(value, base.matchers));
    else go(selector(base.metric, narrow(base.matchers, { name, op: '=', value })));
  };
  const metrics: RankRow[] = (status?.seriesByMetric ?? found?.metrics ?? []).slice(0, ROWS).map((one) => ({
    key: one.name,
    count: one.count,
    onOpen: () => into('__name__', one.name),
  }));
  const pairs = status
    ? status.seriesByPair.map((one) => splitPair(one.name, one.count)).filter((one) => one.name !== '__name__')
    : (found?.pairs ?? []).map((one) => ({ name: one.name, value: one.value, count: one.count }));
  const ofLabel = search.label ? (found?.pairs ?? []).filter((one) => one.name === search.label) : null;
  return (
    <div className="page cardinalityPage">
      <Scope
        key={search.match ?? ''}
        match={search.match}
        wrong={wrong}
        scope={scope}
        limit={limit}
        truncated={data.truncated}
        counted={found?.series ?? null}
        known={status?.series ?? null}
        loading={data.loading}
      />
      {data.error ? <Problem error={data.error} query={data.text} onRetry={data.retry} /> : null}
      <Totals found={found} status={status} truncated={data.truncated} />
      <Churn scope={scope} series={total} wanted={search.churn === 'on'} />
      <WhatIf
        sets={data.sets}
        metric={scope?.metric ?? ''}
        drop={search.drop ?? []}
        truncated={data.truncated}
        onDrop={(drop) => patch({ drop: drop.length > 0 ? drop : undefined }, 'replace')}
      />
      <div className="cardinalityGrid">
        <RankTable
          title="Metrics"
          subject="metric"
          rows={metrics}
          total={total}
          more={found && !status ? found.metrics.length - metrics.length : 0}
          note={status ? 'as the store counts' : undefined}
          loading={found === undefined && status === null}
        />
        <LabelTable
          found={found}
          status={status}
          sort={search.sort ?? 'values'}
          drop={search.drop ?? []}
          open={search.label}
          truncated={data.truncated}
          onOpen={(label) => patch({ label })}
          onSort={(sort) => patch({ sort: sort === 'values' ? undefined : sort }, 'replace')}
          onDrop={(drop) => patch({ drop: drop.length > 0 ? drop : undefined }, 'replace')}
        />
        {ofLabel ? (
          <RankTable
            title={`Values of ${search.label ?? ''}`}
            subject="value"
            rows={ofLabel.slice(0, ROWS).map((one) => ({
              key: one.value || '(empty)',
              count: one.count,
              onOpen: () => into(one.name, one.value),
            }))}
            total={found?.series ?? 0}
            more={Math.max(0, ofLabel.length - ROWS)}
            onClose={() => patch({ label: undefined })}
            loading={false}
          />
        ) : (
          <RankTable
            title="Label pairs"
            subject="pair"
            rows={pairs.slice(0, ROWS).map((one) => ({
              key: `${one.name}="${one.value}"`,
              count: one.count,
              onOpen: () => into(one.name, one.value),
            }))}
            total={total}
            more={status ? 0 : Math.max(0, pairs.length - ROWS)}
            note={status ? 'as the store counts' : undefined}
            loading={found === undefined && status === null}
          />
        )}
      </div>
    </div>
  );
}

function splitPair(text: string, count: number) {
  const at = text.indexOf('=');
  return { name: text.slice(0, at), value: text.slice(at + 1), count };
}
