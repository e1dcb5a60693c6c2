/** The graph of one metric under one view: lines or a heat map, with exemplars when they are wanted. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { mergeCoverage } from '../../api/coverage';
import type { Answer, Asker } from '../../api/http';
import { queryRange, type Series } from '../../api/prom';
import { Graph } from '../../chart/Graph';
import { HeatGraph } from '../../chart/HeatGraph';
import { type Ask, type Drawn, type Entry, expressions, unitOf, type ViewDef } from '../../lib/catalog';
import type { Range } from '../../lib/time';
import { ExemplarList } from '../../parts/ExemplarList';
import { Notes } from '../../parts/Notes';
import { Problem } from '../../parts/Problem';
import { useAnswerAbout } from '../../state/answers';
import { useExemplars } from '../../state/exemplars';
import { usePatch, useView } from '../../state/view';

/** Raw series asked for: a metric may have a hundred thousand, and the answer says when it was cut. */
const MOST_RAW = 500;

interface Props {
  entry: Entry;
  view: ViewDef;
  ask: Ask;
}

export function MetricChart({ entry, view, ask }: Props) {
  const search = useSearch({ from: '/metrics/catalog' });
  const { range, asker, from, to, nowMs } = useView();
  const patch = usePatch();
  const drawn = useMemo(() => expressions(entry, view.key, ask), [entry, view.key, ask]);
  const text = drawn.map((one) => one.expr).join('\n');
  // Kept over a refresh, never over a change of view: a heat map is no line chart.
  const answer = useAnswerAbout(text, ['metric', ask.stepSeconds, asker, from, to, nowMs], (signal) =>
    askAll(drawn, range, ask.stepSeconds, { ...asker, signal }, view.key === 'raw' ? MOST_RAW : undefined),
  );
  const first = drawn[0]?.expr ?? '';
  const exemplars = useExemplars(first, search.ex !== undefined && view.key !== 'raw' && view.key !== 'series');
  const unit = unitOf(entry, view.key);
  const data = answer.own;
  const series = data?.data;
  return (
    <>
      {answer.error ? (
        <Problem error={answer.error} query={first} onRetry={answer.refetch} />
      ) : (
        <Notes warnings={data?.warnings ?? []} infos={data?.infos ?? []} query={first} />
      )}
      <div className="detailChart">
        {series === undefined ? (
          answer.error ? null : (
            <div className="empty detailWait">
              <span className="busy" />
            </div>
          )
        ) : series.length === 0 ? (
          <div className="empty">
            <p>Nothing in this range. A rate needs two samples: widen the range, or look at the raw series.</p>
          </div>
        ) : view.key === 'heat' ? (
          <HeatGraph
            expr={first}
            series={series}
            step={ask.stepSeconds}
            coverage={data?.coverage}
            scale={search.scale}
            height={376}
            unit={unit}
            marks={exemplars.marks}
            onMark={exemplars.open}
          />
        ) : (
          <Graph
            expr={first}
            series={series}
            step={ask.stepSeconds}
            coverage={data?.coverage}
            cap={search.cap ?? 50}
            values={false}
            solo={search.solo}
            onSolo={(solo) => patch({ solo })}
            onCap={(cap) => patch({ cap: cap === 50 ? undefined : cap })}
            height={300}
            unit={unit}
            marks={exemplars.marks}
            onMark={exemplars.open}
          />
        )}
      </div>
      {search.ex !== undefined && view.key !== 'raw' && view.key !== 'series' ? (
        <ExemplarList exemplars={exemplars} unit={unit} title={entry.name} />
      ) : null}
      <code className="exprText">{text}</code>
    </>
  );
}

/** Several expressions as one answer: their series under the tag of each, complete as the least complete. */
async function askAll(
  drawn: readonly Drawn[],
  range: Range,
  step: number,
  ask: Asker & { signal: AbortSignal },
  limit: number | undefined,
): Promise<Answer<Series[]>> {
  const answers = await Promise.all(
    drawn.map((one) => queryRange(one.expr, range, step, ask, limit === undefined ? {} : { limit })),
  );
  const tagged = answers.flatMap((answer, i) => {
    const tag = drawn.length > 1 ? drawn[i]?.tag : undefined;
    return answer.data.series.map((one) => (tag ? { ...one, labels: { ...one.labels, quantile: tag } } : one));
  });
  return {
    data: tagged,
    coverage: mergeCoverage(answers.map((one) => one.coverage)),
    warnings: [...new Set(answers.flatMap((one) => one.warnings))],
    infos: [...new Set(answers.flatMap((one) => one.infos))],
    elapsedMs: Math.max(...answers.map((one) => one.elapsedMs)),
  };
}
