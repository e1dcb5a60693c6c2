/** What other nodes sent here, source by source: those that are refused or silent first. */
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Pipelines, Source } from '../../api/pipelines';
import { type History, rate, sourceSamples, sum } from '../../lib/flowhistory';
import { ageOf, fitsSource, type SourceState, sourceState } from '../../lib/pipelines';
import type { Cell } from '../../lib/sorting';
import { formatDateTime, formatSpan } from '../../lib/timeformat';
import { formatCount, formatValue } from '../../lib/units';
import { type Head, SortedTable } from '../../parts/SortedTable';
import type { CommonSearch } from '../../state/search';
import { pickCommon, usePatch, useView } from '../../state/view';
import { ReasonList } from './LaneTable';

const HEADS: readonly Head[] = [
  { key: 'state', title: 'State', width: '104px' },
  { key: 'cluster', title: 'Cluster', width: 'minmax(110px, 1.2fr)' },
  { key: 'signal', title: 'Signal', width: '72px' },
  { key: 'from', title: 'From', width: 'minmax(110px, 1fr)' },
  { key: 'heard', title: 'Heard', width: '92px', isNumber: true },
  { key: 'rate', title: 'Taken/s', width: '84px', isNumber: true },
  { key: 'taken', title: 'Taken', width: '108px', isNumber: true },
  { key: 'refused', title: 'Refused', width: 'minmax(110px, 1.3fr)', isNumber: true },
  { key: 'repeated', title: 'Repeated', width: '92px', isNumber: true },
  { key: 'source', title: 'Source', width: '140px' },
];

interface Row {
  one: Source;
  state: SourceState;
  perSecond: number | null;
}

const LAG_QUERY = 'max by (cluster, signal, stage) (orrery_pipeline_lag_seconds)';

export function SourceTable({ data, history }: { data: Pipelines; history: History }) {
  const search = useSearch({ from: '/pipelines' });
  const patch = usePatch();
  const { zone } = useView();
  const atMs = data.timeMs;
  const find = (search.find ?? '').trim();
  const rows = useMemo(
    () =>
      data.sources
        .filter((one) => find === '' || fitsSource(one, find))
        .map((one) => ({
          one,
          state: sourceState(one, history, atMs),
          perSecond: rate(sourceSamples(history, one.source, 'taken')),
        })),
    [data.sources, history, atMs, find],
  );
  const of = ({ one, state, perSecond }: Row, key: string): Cell => {
    switch (key) {
      case 'state':
        return state.rank;
      case 'heard':
        return ageOf(one, atMs);
      case 'rate':
        return perSecond;
      case 'refused':
        return sum(one.refused);
      case 'repeated':
        return one.repeatedItems;
      case 'taken':
        return one.taken;
      case 'cluster':
        return one.cluster;
      case 'signal':
        return one.signal;
      case 'from':
        return one.from;
      default:
        return one.source;
    }
  };
  return (
    <section className="panel pipeSources" aria-label="Sources">
      <SortedTable
        label="Sources"
        file="sources"
        heads={HEADS}
        rows={rows}
        sort={search.sort}
        usual="state"
        height={360}
        leastPx={1060}
        of={of}
        keyOf={({ one }) => one.source}
        note={
          <>
            <input
              className="field"
              type="search"
              data-query-target=""
              aria-label="Find a source"
              placeholder="Find a cluster, signal, address or reason"
              value={search.find ?? ''}
              onChange={(event) => patch({ find: event.target.value || undefined }, 'replace')}
            />
            <span className="soft" role="status">
              {rows.length === data.sources.length
                ? formatCount(rows.length)
                : `${formatCount(rows.length)} of ${formatCount(data.sources.length)}`}
            </span>
            <Link
              to="/metrics"
              className="linkish"
              search={(before: CommonSearch) => ({ ...pickCommon(before), q: [LAG_QUERY] })}
            >
              How old it is when it comes
            </Link>
          </>
        }
        show={(row, key) => {
          const { one, state } = row;
          switch (key) {
            case 'state':
              return <span className={`fresh ${state.tone}`}>{state.word}</span>;
            case 'cluster':
              return one.cluster || <span className="faint">names none</span>;
            case 'heard':
              return <span title={formatDateTime(one.lastMs, zone)}>{formatSpan(ageOf(one, atMs))} ago</span>;
            case 'rate':
              return row.perSecond === null ? '–' : formatValue(row.perSecond, 'ps');
            case 'taken':
              return <span title={`in ${formatCount(one.requests)} requests`}>{formatCount(one.taken)}</span>;
            case 'refused':
              return <ReasonList reasons={one.refused} tone="warn" />;
            case 'repeated':
              return one.repeatedItems === 0 ? (
                <span className="faint">none</span>
              ) : (
                <span title={`${formatCount(one.repeatedRequests)} requests came again; they are stored once`}>
                  {formatCount(one.repeatedItems)}
                </span>
              );
            case 'source':
              return <code>{one.source}</code>;
            default:
              return key === 'from' ? <span className="data">{one.from}</span> : one.signal;
          }
        }}
      />
    </section>
  );
}
