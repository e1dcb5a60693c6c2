/** One service: what it serves over time, its operations, who it works with, its latest slow and failed traces, its logs. */
import { Link, useParams, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { GapList } from '../../chart/GapList';
import { RedPanel } from '../../chart/RedPanel';
import { adviceOn } from '../../lib/advice';
import type { ServiceGraph } from '../../lib/servicegraph';
import { bucketsOf, type SpanSide, type Subject } from '../../lib/spanmetrics';
import { formatDurationUs } from '../../lib/timeformat';
import { quoteTrace } from '../../lib/traceql';
import { formatShare, formatValue } from '../../lib/units';
import { ExemplarList } from '../../parts/ExemplarList';
import { Problem } from '../../parts/Problem';
import { CloseIcon } from '../../shell/icons';
import { useExemplars } from '../../state/exemplars';
import { useGaps } from '../../state/gaps';
import type { CommonSearch } from '../../state/search';
import { useGraph } from '../../state/servicegraph';
import { pickCommon, usePatch, useSetRange, useView } from '../../state/view';
import { Dependencies } from './Dependencies';
import { LogLevels } from './LogLevels';
import { Operations } from './Operations';
import { LatestTraces } from './LatestTraces';
import { QUANTILES, type ServiceRed, useService } from './useService';
import './service.css';

const SIDES: readonly { kind: 'calls' | 'all' | undefined; side: SpanSide; name: string; title: string }[] = [
  { kind: undefined, side: 'served', name: 'Served', title: 'Requests that it serves, and messages that it takes' },
  { kind: 'calls', side: 'calls', name: 'Calls out', title: 'Requests that it makes, and messages that it sends' },
  { kind: 'all', side: 'all', name: 'All spans', title: 'What it does inside, too' },
];

export default function ServicePage() {
  const { name } = useParams({ from: '/services/$name' });
  const search = useSearch({ from: '/services/$name' });
  const { range, zone } = useView();
  const patch = usePatch();
  const side = SIDES.find((one) => one.kind === search.kind)?.side ?? 'served';
  const subject = useMemo<Subject>(() => ({ service: name, side, operation: search.op }), [name, side, search.op]);
  const red = useService(subject);
  const { graph } = useGraph();
  const gaps = useGaps(red.coverage);
  const isUnknown = !red.loading && !red.error && red.rate === 0;
  return (
    <div className="page servicePage">
      <Head name={name} graph={graph} />
      <div className="row serviceBar">
        <div className="group" role="group" aria-label="Spans">
          {SIDES.map(({ kind, name: label, title }) => (
            <button
              key={label}
              type="button"
              className="btn"
              title={title}
              aria-pressed={search.kind === kind}
              onClick={() => patch({ kind, op: undefined })}
            >
              {label}
            </button>
          ))}
        </div>
        {search.op ? (
          <span className="row serviceOp">
            <span className="soft">operation</span> <strong className="clip">{search.op}</strong>
            <button
              type="button"
              className="btn quiet"
              aria-label="All operations"
              onClick={() => patch({ op: undefined })}
            >
              <CloseIcon />
            </button>
          </span>
        ) : null}
        <span className="grow" />
        {red.loading ? <span className="busy" /> : null}
        <button
          type="button"
          className="btn"
          aria-pressed={search.ex !== undefined}
          title="Single spans that name their trace, on the chart of durations"
          onClick={() => patch({ ex: search.ex === undefined ? 'on' : undefined }, 'replace')}
        >
          Exemplars
        </button>
        <button
          type="button"
          className="btn"
          aria-pressed={search.values === 'on'}
          onClick={() => patch({ values: search.values ? undefined : 'on' }, 'replace')}
        >
          Values
        </button>
      </div>
      {red.error ? <Problem error={red.error} advice={adviceOn(red.error)} onRetry={red.retry} /> : null}
      {gaps.length > 0 ? (
        <div className="panel serviceGaps">
          <GapList gaps={gaps} range={range} zone={zone} />
        </div>
      ) : null}
      {isUnknown ? <Nothing side={side} /> : <Charts red={red} subject={subject} />}
      <div className="serviceGrid">
        <Operations subject={{ service: name, side }} step={red.step} />
        <div className="serviceSide">
          <Dependencies name={name} graph={graph} />
        </div>
        <LatestTraces
          name={name}
          operation={search.op}
          p95={red.atQuantiles[QUANTILES.indexOf(0.95)] ?? null}
          isSettled={!red.loading}
        />
        <LogLevels name={name} />
      </div>
    </div>
  );
}

function Head({ name, graph }: { name: string; graph: ServiceGraph | null }) {
  const places = [...(graph?.nodes.values() ?? [])].filter((node) => node.name === name && node.kind === 'service');
  const query = `{ resource.service.name = ${quoteTrace(name)} }`;
  const [first] = places;
  return (
    <div className="row serviceHead">
      <h2 className="clip">{name}</h2>
      {places
        .filter((one) => one.namespace || one.cluster)
        .map((one) => (
          <span key={one.key} className="tag">
            {[one.namespace, one.cluster].filter(Boolean).join(' · ')}
          </span>
        ))}
      <span className="grow" />
      <Link to="/traces" search={(before: CommonSearch) => ({ ...pickCommon(before), q: query })} className="btn">
        Traces
      </Link>
      <Link
        to="/logs"
        search={(before: CommonSearch) => ({ ...pickCommon(before), q: `{service_name=${JSON.stringify(name)}}` })}
        className="btn"
      >
        Logs
      </Link>
      {first ? (
        <Link
          to="/topology"
          search={(before: CommonSearch) => ({
            ...pickCommon(before),
            level: 'service' as const,
            node: first.key,
            hops: 1,
          })}
          className="btn"
        >
          On the map
        </Link>
      ) : null}
    </div>
  );
}

const TALL = 150;

function Charts({ red, subject }: { red: ServiceRed; subject: Subject }) {
  const search = useSearch({ from: '/services/$name' });
  const exemplars = useExemplars(bucketsOf(subject), search.ex !== undefined);
  const known = red.rate !== null;
  const share = red.rate ? (red.failed ?? 0) / red.rate : 0;
  const common = { coverage: red.coverage, values: search.values === 'on', height: TALL, quietGaps: true };
  return (
    <>
      <div className="redHead">
        <RedPanel
          title="Rate"
          number={known ? formatValue(red.rate ?? 0, 'ps') : '–'}
          more=""
          columns={red.rates}
          names={['spans']}
          colours={['var(--series-0)']}
          unit="ps"
          {...common}
        />
        <RedPanel
          title="Errors"
          number={known ? formatShare(share) : '–'}
          more={known ? formatValue(red.failed ?? 0, 'ps') : ''}
          isBad={share > 0}
          columns={red.errorRates}
          names={['failed spans']}
          colours={['var(--series-4)']}
          unit="ps"
          {...common}
        />
        <RedPanel
          title="Duration"
          number={QUANTILES.map((q, i) => {
            const at = red.atQuantiles[i];
            return `p${q * 100} ${at === null || at === undefined ? '–' : formatDurationUs(at * 1e6)}`;
          }).join(' · ')}
          more=""
          columns={red.quantiles}
          names={QUANTILES.map((q) => `p${q * 100}`)}
          colours={['var(--series-2)', 'var(--series-1)', 'var(--series-3)']}
          unit="seconds"
          marks={exemplars.marks}
          onMark={exemplars.open}
          {...common}
        />
      </div>
      {search.ex !== undefined ? (
        <div className="panel serviceExemplars">
          <ExemplarList exemplars={exemplars} unit="seconds" title="durations" />
        </div>
      ) : null}
    </>
  );
}

function Nothing({ side }: { side: SpanSide }) {
  const setRange = useSetRange();
  const patch = usePatch();
  return (
    <div className="panel empty">
      <p>
        {side === 'all'
          ? 'No spans of this service were counted in this range.'
          : `This service ${side === 'served' ? 'served' : 'called'} nothing in this range, as far as its spans tell.`}
      </p>
      <div className="row">
        {side === 'all' ? null : (
          <button type="button" className="btn" onClick={() => patch({ kind: 'all' })}>
            All its spans
          </button>
        )}
        <button type="button" className="btn" onClick={() => setRange({ from: 'now-24h', to: 'now' })}>
          Last 24 hours
        </button>
      </div>
    </div>
  );
}
