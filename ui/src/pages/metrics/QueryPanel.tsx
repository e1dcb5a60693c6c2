/** One query: editor, what it cost, and its answer as a graph, the graph's values, or a table at the end of the range. */
import { useEffect, useMemo, useRef } from 'react';
import { queryInstant, queryRange } from '../../api/prom';
import { QueryField } from '../../editor/QueryField';
import type { QueryRow, Tab } from '../../lib/queries';
import { rowName } from '../../lib/queries';
import { niceStep, promDuration } from '../../lib/steps';
import { formatCount } from '../../lib/units';
import { Problem, Warnings } from '../../parts/Problem';
import { CloseIcon, EyeIcon, EyeOffIcon } from '../../shell/icons';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';
import { Graph } from '../../chart/Graph';
import { InstantTable } from './InstantTable';

interface Props {
  index: number;
  row: QueryRow;
  cap: number;
  removable: boolean;
  solo: string | undefined;
  onChange: (row: QueryRow, how: 'push' | 'replace') => void;
  onRemove: () => void;
  onCap: (cap: number) => void;
  onSolo: (name: string | undefined) => void;
  onRerun: () => void;
}

const TABS: readonly (readonly [Tab, string])[] = [
  ['graph', 'Graph'],
  ['values', 'Values'],
  ['table', 'Table'],
];
/** A point every three to four pixels of a wide screen; fixed, so that resizing a window asks nothing again. */
const POINTS = 360;

export function QueryPanel(props: Props) {
  const { index, row, cap, onChange } = props;
  const { range, tenant, nowMs, from, to } = useView();
  const draft = useRef(row.expr);
  useEffect(() => {
    draft.current = row.expr;
  }, [row.expr]);
  const step = niceStep(range.toMs - range.fromMs, POINTS);
  const instant = row.tab === 'table';
  const answer = useAnswer(
    ['metrics', instant ? 'instant' : step, row.expr, tenant, from, to, nowMs],
    (signal) =>
      instant
        ? queryInstant(row.expr, range.toMs, { tenant, signal })
        : queryRange(row.expr, range, step, { tenant, signal }),
    { enabled: row.expr.trim() !== '' && !row.off },
  );
  const run = () => {
    const expr = draft.current.trim();
    if (expr === row.expr && !row.off) props.onRerun();
    else onChange({ ...row, expr, off: false }, 'push');
  };
  // A kept answer of another shape would be drawn wrongly for a moment.
  const data = answer.data && (answer.data.data.kind === 'matrix') !== instant ? answer.data.data : undefined;
  const name = rowName(index);
  return (
    <section className="panel queryPanel" aria-label={`Query ${name}`}>
      <div className="queryHead" {...(index === 0 ? { 'data-query-target': '' } : {})}>
        <span className="queryName" aria-hidden="true">
          {name}
        </span>
        <QueryField
          language="promql"
          label={`PromQL query ${name}`}
          hint="PromQL, for example: rate(http_requests_total[5m])"
          value={row.expr}
          onRun={run}
          onDraft={(text) => {
            draft.current = text;
          }}
        />
        <button type="button" className="btn primary" onClick={run} title="Run (Enter)">
          {answer.isFetching ? <span className="busy" /> : null}Run
        </button>
        <div className="group" role="group" aria-label={`Show query ${name} as`}>
          {TABS.map(([tab, label]) => (
            <button
              key={tab}
              type="button"
              className="btn"
              aria-pressed={row.tab === tab}
              onClick={() => onChange({ ...row, tab }, 'push')}
            >
              {label}
            </button>
          ))}
        </div>
        <button
          type="button"
          className="btn quiet"
          aria-pressed={row.off}
          aria-label={row.off ? `Switch query ${name} on` : `Switch query ${name} off`}
          onClick={() => onChange({ ...row, off: !row.off }, 'push')}
        >
          {row.off ? <EyeOffIcon /> : <EyeIcon />}
        </button>
        <button
          type="button"
          className="btn quiet"
          aria-label={`Remove query ${name}`}
          disabled={!props.removable}
          onClick={props.onRemove}
        >
          <CloseIcon />
        </button>
      </div>
      {answer.error && !row.off ? (
        <Problem error={answer.error} query={row.expr} onRetry={() => void answer.refetch()} />
      ) : null}
      {answer.data && !answer.error ? <Warnings items={answer.data.warnings} /> : null}
      {data && !answer.error && !row.off ? (
        <>
          <Stats
            series={data.series.length}
            samples={data.samples}
            elapsedMs={answer.data?.elapsedMs ?? 0}
            step={instant ? null : step}
          />
          {data.series.length === 0 ? (
            <div className="empty queryEmpty">
              <p>No series in this range. Check the label values (Ctrl+Space completes them), or widen the range.</p>
            </div>
          ) : instant ? (
            <InstantTable title={row.expr} series={data.series} expr={row.expr} atMs={range.toMs} />
          ) : (
            <Graph
              expr={row.expr}
              series={data.series}
              step={step}
              cap={cap}
              values={row.tab === 'values'}
              solo={props.solo}
              onSolo={props.onSolo}
              onCap={props.onCap}
            />
          )}
        </>
      ) : null}
    </section>
  );
}

function Stats({
  series,
  samples,
  elapsedMs,
  step,
}: {
  series: number;
  samples: number;
  elapsedMs: number;
  step: number | null;
}) {
  const text = useMemo(
    () => [
      `${formatCount(series)} series`,
      `${formatCount(samples)} samples`,
      `${elapsedMs < 10 ? elapsedMs.toFixed(1) : Math.round(elapsedMs)} ms`,
      ...(step === null ? [] : [`step ${promDuration(step)}`]),
    ],
    [series, samples, elapsedMs, step],
  );
  return (
    <div className="queryStats soft">
      {text.map((part) => (
        <span key={part}>{part}</span>
      ))}
    </div>
  );
}
