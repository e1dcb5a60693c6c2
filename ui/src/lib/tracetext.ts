/**
 * Traces written as text, for tests:
 *
 *     A 0..100 service=shop host=a
 *       B 10..40 error kind=client
 *       C 50..60 follows
 *     D 70..80 parent=lost
 *
 * Indentation tells the parent. Times are microseconds from an arbitrary start; the operation is the id unless `op=` says so.
 */
import type { KeyValue, WireSpan, WireTrace } from '../api/jaeger';

export const ZERO_US = 1_700_000_000_000_000;

export function traceOf(text: string, id = 't'): WireTrace {
  const spans: WireSpan[] = [];
  const processes: WireTrace['processes'] = {};
  const above: { indent: number; id: string }[] = [];
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const [name = '', times = '', ...rest] = line.trim().split(/\s+/);
    const m = /^(-?\d+)\.\.(-?\d+)$/.exec(times);
    if (!m) throw new Error(`no times in "${line}"`);
    const indent = line.length - line.trimStart().length;
    while ((above[above.length - 1]?.indent ?? -1) >= indent) above.pop();
    const said = new Map<string, string | undefined>(rest.map((one) => [one.split('=')[0] ?? '', one.split('=')[1]]));
    const parent = said.get('parent') ?? above[above.length - 1]?.id;
    above.push({ indent, id: name });
    const processID = `${said.get('service') ?? 'svc'} ${said.get('host') ?? ''} ${said.get('cluster') ?? ''}`;
    processes[processID] ??= { serviceName: said.get('service') ?? 'svc', tags: resource(said) };
    spans.push({
      traceID: id,
      spanID: name,
      operationName: said.get('op') ?? name,
      startTime: ZERO_US + Number(m[1]),
      duration: Number(m[2]) - Number(m[1]),
      processID,
      references:
        parent === undefined
          ? []
          : [{ refType: said.has('follows') ? 'FOLLOWS_FROM' : 'CHILD_OF', traceID: id, spanID: parent }],
      tags: tagsOf(said),
    });
  }
  return { traceID: id, spans, processes };
}

const KNOWN = new Set(['service', 'host', 'cluster', 'op', 'parent', 'follows', 'error', 'kind']);

function resource(said: ReadonlyMap<string, string | undefined>): KeyValue[] {
  const out: KeyValue[] = [];
  if (said.has('host')) out.push({ key: 'host.name', value: said.get('host') });
  if (said.has('cluster')) out.push({ key: 'k8s.cluster.name', value: said.get('cluster') });
  return out;
}

function tagsOf(said: ReadonlyMap<string, string | undefined>): KeyValue[] {
  const out: KeyValue[] = [];
  if (said.has('error')) out.push({ key: 'error', value: true });
  if (said.has('kind')) out.push({ key: 'span.kind', value: said.get('kind') });
  for (const [key, value] of said) if (!KNOWN.has(key)) out.push({ key, value: value ?? '' });
  return out;
}

/** A tree of `count` spans in which anything may be anywhere: children outside of their parents, of no length, async. */
export function randomTrace(random: () => number, count: number): WireTrace {
  const spans: WireSpan[] = [];
  const pick = (size: number) => Math.floor(random() * size);
  for (let i = 0; i < count; i += 1) {
    const parent = i === 0 || random() < 0.02 ? undefined : `s${pick(i)}`;
    spans.push({
      traceID: 't',
      spanID: `s${i}`,
      operationName: `op${pick(4)}`,
      startTime: ZERO_US + pick(60),
      duration: random() < 0.1 ? 0 : pick(50),
      processID: `p${pick(3)}`,
      references:
        parent === undefined
          ? []
          : [{ refType: random() < 0.1 ? 'FOLLOWS_FROM' : 'CHILD_OF', traceID: 't', spanID: parent }],
      tags: [{ key: 'span.kind', value: ['producer', 'consumer', 'server', 'client'][pick(4)] }],
    });
  }
  const processes = Object.fromEntries(['p0', 'p1', 'p2'].map((name) => [name, { serviceName: name }]));
  return { traceID: 't', spans, processes };
}
