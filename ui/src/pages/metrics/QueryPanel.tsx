/** One query: editor, what it cost, and its answer as a graph, a heat map, values, a table, or the plan behind it. */
import { useSearch } from '@tanstack/react-router';
import { useEffect, useMemo, useRef } from 'react';
import type { Coverage } from '../../api/coverage';
import { type PromResult, queryInstant, queryRange } from '../../api/prom';
import { Graph } from '../../chart/Graph';
import { HeatGraph, unitOfCounts, unitOfValues } from '../../chart/HeatGraph';
import { HeatTable } from '../../chart/HeatTable';
import { QueryField } from '../../editor/QueryField';
import { hasNative, isClassic } from '../../lib/heat';
import { noteRanges, offsetOf, readNotes } from '../../lib/notes';
import { type QueryRow, rowName, type Tab } from '../../lib/queries';
import { niceStep, promDuration } from '../../lib/steps';
import { formatCount, guessUnit } from '../../lib/units';
import { ExemplarList } from '../../parts/ExemplarList';
import { Notes } from '../../parts/Notes';
import { Problem } from '../../parts/Problem';
import { CloseIcon, EyeIcon, EyeOffIcon } from '../../shell/icons';
import { useAnswer } from '../../state/answers';
import { useExemplars } from '../../state/exemplars';
import { useGaps } from '../../state/gaps';
import { usePatch, useView } from '../../state/view';
import { ExplainTab } from './ExplainTab';
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
  ['heat', 'Heat map'],
  ['values', 'Values'],
  ['table', 'Table'],
  ['explain', 'Explain'],
];
/** A point every three to four pixels of a wide screen; fixed, so that resizing a window asks nothing again. */
const POINTS = 360;

export function QueryPanel(props: Props) {
  const { index, row, onChange } = props;
  const draft = useRef(row.expr);
  useEffect(() => {
    draft.current = row.expr;
  }, [row.expr]);
  const editor = useRef<HTMLDivElement>(null);
  const { answer, data, step, instant } = useQueryAnswer(row);
  const run = () => {
    const expr = draft.current.trim();
    if (expr === row.expr && !row.off) props.onRerun();
    else onChange({ ...row, expr, off: false }, 'push');
  };
  const name = rowName(index);
  const failed = answer.error !== null && !row.off;
  const asked = row.expr.trim() !== '' && !row.off;
  const noted = answer.data && asked && !failed && answer.data.data.expr === row.expr ? answer.data : null;
  const underlined = useMemo(
    () => (noted ? noteRanges(readNotes(noted.warnings, noted.infos, row.expr), row.expr) : []),
    [noted, row.expr],
  );
  return (
    <section className="panel queryPanel" aria-label={`Query ${name}`}>
      <div className="queryHead" ref={editor} {...(index === 0 ? { 'data-query-target': '' } : {})}>
        <span className="queryName" aria-hidden="true">
          {name}
        </span>
        <QueryField
          language="promql"
          label={`PromQL query ${name}`}
          hint="PromQL, for example: rate(http_requests_total[5m])"
          value={row.expr}
          notes={underlined}
          onRun={run}
          onDraft={(text) => {
            draft.current = text;
          }}
        />
        <button type="button" className="btn primary" onClick={run} title="Run (Enter)">
          {answer.isFetching ? <span className="busy" /> : null}Run
        </button>
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
      <div className="queryBar">
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
        {row.tab === 'graph' || row.tab === 'heat' ? <ExemplarSwitch name={name} /> : null}
        {data && asked && !failed ? (
          <Stats data={data} elapsedMs={answer.data?.elapsedMs ?? 0} step={instant ? null : step} />
        ) : null}
      </div>
      {failed && answer.error ? (
        <Problem error={answer.error} query={row.expr} onRetry={() => void answer.refetch()} />
      ) : null}
      {noted ? (
        <Notes
          warnings={noted.warnings}
          infos={noted.infos}
          query={row.expr}
          onPlace={(note) => goTo(editor.current, offsetOf(row.expr, note.line ?? 1, note.column ?? 1))}
        />
      ) : null}
      {asked && !failed ? (
        data ? (
          <Shown {...props} data={data} step={step} coverage={answer.data?.coverage} />
        ) : (
          <div className="queryWait" />
        )
      ) : null}
    </section>
  );
}

function useQueryAnswer(row: QueryRow) {
  const { range, asker, nowMs, from, to } = useView();
  const step = niceStep(range.toMs - range.fromMs, POINTS);
  const instant = row.tab === 'table';
  const explain = row.tab === 'explain';
  const answer = useAnswer(
    ['metrics', instant ? 'instant' : step, explain, row.expr, asker, from, to, nowMs],
    (signal) =>
      instant
        ? queryInstant(row.expr, range.toMs, { ...asker, signal })
        : queryRange(row.expr, range, step, { ...asker, signal }, { explain }),
    { enabled: row.expr.trim() !== '' && !row.off },
  );
  // A kept answer of another shape would be drawn wrongly for a moment.
  const data = answer.data && (answer.data.data.kind === 'matrix') !== instant ? answer.data.data : undefined;
  return { answer, data, step, instant };
}

/** Puts the cursor of the editor at a place in the text, as a click on that place would. */
function goTo(host: HTMLElement | null, offset: number): void {
  host?.querySelector('.codeField')?.dispatchEvent(new CustomEvent('go-to', { detail: offset }));
}

function ExemplarSwitch({ name }: { name: string }) {
  const { ex } = useSearch({ from: '/metrics' });
  const patch = usePatch();
  return (
    <button
      type="button"
      className="btn"
      aria-pressed={ex !== undefined}
      aria-label={`Exemplars of query ${name}`}
      title="Single observations that name their trace"
      onClick={() => patch({ ex: ex === undefined ? 'on' : undefined }, 'replace')}
    >
      Exemplars
    </button>
  );
}

function Shown({
  index,
  row,
  data,
  step,
  coverage,
  cap,
  solo,
  onCap,
  onSolo,
  onChange,
}: Props & { data: PromResult; step: number; coverage: readonly Coverage[] | undefined }) {
  const { range, zone } = useView();
  const search = useSearch({ from: '/metrics' });
  const gaps = useGaps(coverage);
  const drawing = row.tab === 'graph' || row.tab === 'heat';
  const exemplars = useExemplars(row.expr, search.ex !== undefined && drawing);
  if (row.tab === 'explain') return <ExplainTab name={rowName(index)} expr={row.expr} result={data} />;
  if (data.series.length === 0) {
    return (
      <div className="empty queryEmpty">
        <p>No series in this range. Check the label values (Ctrl+Space completes them), or widen the range.</p>
      </div>
    );
  }
  if (row.tab === 'table') {
    return <InstantTable title={row.expr} series={data.series} expr={row.expr} atMs={range.toMs} />;
  }
  if (row.tab === 'values' && hasNative(data.series)) {
    return (
      <HeatTable
        title={row.expr}
        series={data.series}
        unit={unitOfValues(row.expr)}
        countUnit={unitOfCounts(row.expr)}
        zone={zone}
        range={range}
        gaps={gaps}
      />
    );
  }
  // Lines would show the mean of each histogram only: what was asked for is the whole of it.
  const heat = row.tab === 'heat' || (row.tab === 'graph' && hasNative(data.series));
  return (
    <>
      {row.tab === 'graph' && isClassic(data.series) ? (
        <p className="heatOffer soft">
          These are the buckets of a histogram.
          <button type="button" className="linkish" onClick={() => onChange({ ...row, tab: 'heat' }, 'push')}>
            Draw them as a heat map
          </button>
        </p>
      ) : null}
      {heat ? (
        <HeatGraph
          expr={row.expr}
          series={data.series}
          step={step}
          coverage={coverage}
          scale={search.scale}
          marks={exemplars.marks}
          onMark={exemplars.open}
        />
      ) : (
        <Graph
          expr={row.expr}
          series={data.series}
          step={step}
          coverage={coverage}
          cap={cap}
          values={row.tab === 'values'}
          solo={solo}
          onSolo={onSolo}
          onCap={onCap}
          marks={exemplars.marks}
          onMark={exemplars.open}
        />
      )}
      {search.ex !== undefined && drawing ? (
        <ExemplarList exemplars={exemplars} unit={guessUnit(row.expr)} title={row.expr} />
      ) : null}
    </>
  );
}

function Stats({ data, elapsedMs, step }: { data: PromResult; elapsedMs: number; step: number | null }) {
  const text = useMemo(
    () => [
      `${formatCount(data.series.length)} series`,
      `${formatCount(data.samples)} samples`,
      `${elapsedMs < 10 ? elapsedMs.toFixed(1) : Math.round(elapsedMs)} ms`,
      ...(step === null ? [] : [`step ${promDuration(step)}`]),
    ],
    [data, elapsedMs, step],
  );
  return (
    <div className="queryStats soft">
      {text.map((part) => (
        <span key={part}>{part}</span>
      ))}
    </div>
  );
}
