/** Everything that is worked out of a trace once, for all of its views. */
import { useEffect, useMemo, useState } from 'react';
import { criticalPath, type Section, sectionsBySpan, timeOnPath } from '../../lib/criticalpath';
import { measureSkew, type Skew } from '../../lib/skew';
import type { TraceData } from '../../lib/spandata';
import { selfTimes, type Trace, treeOf } from '../../lib/trace';

export interface TraceModel {
  trace: Trace;
  /** By how much clocks disagree, whether or not spans were moved; null where they agree. */
  skew: Skew | null;
  raw: boolean;
  self: readonly number[];
  sections: ReadonlyMap<number, readonly Section[]>;
  /** Microseconds of each span on the critical path. */
  onPath: Float64Array;
}

/** Up to this many spans the whole model is made in less than a frame or two. */
const AT_ONCE = 5000;

/** Undefined while a large trace is worked through; where only the clocks changed, the model before stays until then. */
export function useTraceModel(data: TraceData, raw: boolean): TraceModel | undefined {
  const small = data.spans.length <= AT_ONCE;
  const now = useMemo(() => (small ? runThrough(steps(data, raw)) : undefined), [small, data, raw]);
  const [last, setLast] = useState<{ data: TraceData; model: TraceModel } | undefined>();
  useEffect(() => {
    if (small) return undefined;
    const work = steps(data, raw);
    let timer = 0;
    // A step at a time, so that what is on the screen goes on answering.
    const step = () => {
      const done = work.next();
      if (done.done) setLast({ data, model: done.value });
      else timer = window.setTimeout(step);
    };
    timer = window.setTimeout(step);
    return () => window.clearTimeout(timer);
  }, [small, data, raw]);
  return now ?? (last?.data === data ? last.model : undefined);
}

/** Each `yield` is a place where others may run. */
function* steps(data: TraceData, raw: boolean): Generator<undefined, TraceModel> {
  const skew = measureSkew(data.spans);
  yield;
  const trace = treeOf(data, raw ? undefined : skew?.moves);
  yield;
  const path = criticalPath(trace.spans);
  yield;
  const sections = sectionsBySpan(path);
  const onPath = timeOnPath(path, trace.spans.length);
  yield;
  return { trace, skew, raw, self: selfTimes(trace.spans), sections, onPath };
}

function runThrough(work: Generator<undefined, TraceModel>): TraceModel {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}
