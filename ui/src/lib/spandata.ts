/**
 * Spans as Jaeger's API sends them, read into what the page keeps: fewer fields, and every attribute that repeats held
 * once. Two hundred thousand spans share most of their attributes, so that is what keeps a large trace small.
 */
import type { KeyValue, SpanEvent, WireProcess, WireSpan, WireTrace } from '../api/jaeger';
import { clusterOf } from './lanes';

/** Who sent a span: its resource. */
export interface Process {
  service: string;
  /** Where it ran; empty where it does not say. */
  cluster: string;
  /** Whose clock its times are of. */
  host: string;
  tags: readonly KeyValue[];
}

/** Another span that this one names, of any trace. */
export interface SpanLink {
  traceId: string;
  spanId: string;
  /** `FOLLOWS_FROM` or `CHILD_OF`. */
  kind: string;
}

export interface SpanData {
  /** Unique in its trace. */
  id: string;
  /** Empty for a root. */
  parentId: string;
  /** It named its parent as what it follows, not as what waits for it. */
  follows: boolean;
  process: Process;
  operation: string;
  /** Microseconds since the epoch, by the clock of its host. */
  startUs: number;
  durationUs: number;
  error: boolean;
  /** `server`, `client`, `producer`, `consumer`, `internal`, or empty. */
  kind: string;
  tags: readonly KeyValue[];
  events: readonly SpanEvent[];
  links: readonly SpanLink[];
  warnings: readonly string[];
}

export interface TraceData {
  id: string;
  spans: SpanData[];
}

export function readTrace(wire: WireTrace): TraceData {
  const reader = new SpanReader();
  reader.add(wire.spans);
  return reader.finish(wire.traceID, wire.processes);
}

/** Distinct attributes that are shared; those beyond are kept by each span for itself. */
const MOST_SHARED = 200_000;
const NONE: readonly never[] = [];
const NOBODY: Process = { service: 'unknown', cluster: '', host: '', tags: NONE };

/** Takes spans as they come; their processes may follow later, and so may the spans they hang from. */
export class SpanReader {
  readonly #spans: SpanData[] = [];
  readonly #processes: string[] = [];
  readonly #shared = new Map<string, KeyValue>();

  get count(): number {
    return this.#spans.length;
  }

  add(spans: readonly WireSpan[]): void {
    for (const span of spans) {
      this.#spans.push(this.#read(span));
      this.#processes.push(span.processID);
    }
  }

  finish(id: string, processes: Readonly<Record<string, WireProcess>>): TraceData {
    const known = new Map(Object.entries(processes).map(([name, one]) => [name, this.#process(name, one)]));
    const spans = this.#spans.map((span, i) => {
      span.process = placed(known.get(this.#processes[i] ?? '') ?? NOBODY, span.tags);
      return span;
    });
    return { id, spans: distinct(spans) };
  }

  #read(span: WireSpan): SpanData {
    const parent = parentOf(span);
    const tags = this.#share(span.tags);
    return {
      id: span.spanID,
      parentId: parent && parent.spanID !== span.spanID ? parent.spanID : '',
      follows: parent?.refType === 'FOLLOWS_FROM',
      process: NOBODY,
      operation: span.operationName,
      startUs: span.startTime,
      durationUs: span.duration,
      error: tags.some(saysError),
      kind: String(tags.find((tag) => tag.key === 'span.kind')?.value ?? '').toLowerCase(),
      tags,
      events: (span.logs ?? NONE).map((event) => ({ ...event, fields: this.#share(event.fields) })),
      links: (span.references ?? NONE)
        .filter((ref) => ref !== parent)
        .map((ref) => ({ traceId: ref.traceID || span.traceID, spanId: ref.spanID, kind: ref.refType })),
      warnings: span.warnings ?? NONE,
    };
  }

  #share(tags: readonly KeyValue[] | undefined): readonly KeyValue[] {
    if (!tags || tags.length === 0) return NONE;
    return tags.map((tag) => {
      if (typeof tag.value === 'object') return tag;
      const name = `${tag.key}\u0000${typeof tag.value}\u0000${String(tag.value)}`;
      const seen = this.#shared.get(name);
      if (seen) return seen;
      const own = { key: tag.key, value: tag.value };
      if (this.#shared.size < MOST_SHARED) this.#shared.set(name, own);
      return own;
    });
  }

  #process(name: string, wire: WireProcess): Process {
    const tags = this.#share(wire.tags);
    const cluster = clusterOf(tags, NONE);
    return { service: wire.serviceName || 'unknown', cluster, host: hostOf(tags, cluster, name), tags };
  }
}

/** A span may say where it ran while its resource does not. */
function placed(process: Process, tags: readonly KeyValue[]): Process {
  if (process.cluster !== '') return process;
  const cluster = clusterOf(NONE, tags);
  return cluster === '' ? process : { ...process, cluster };
}

type Reference = NonNullable<WireSpan['references']>[number];

/** What a span hangs from: what it is a child of, else what it follows. */
export function parentOf(span: WireSpan): Reference | undefined {
  const own = span.references?.filter((ref) => ref.traceID === span.traceID || !ref.traceID) ?? [];
  return own.find((ref) => ref.refType === 'CHILD_OF') ?? own[0];
}

function saysError(tag: KeyValue): boolean {
  return (
    (tag.key === 'error' && String(tag.value) === 'true') || (tag.key === 'otel.status_code' && tag.value === 'ERROR')
  );
}

/** What tells a clock, the surest first: OpenTelemetry's names, then those of Jaeger's own clients. */
const HOST_ATTRIBUTES = ['host.id', 'k8s.node.name', 'host.ip', 'ip', 'host.name', 'hostname'];

/** Where none is told, a process is a host of its own. Names of hosts are only told apart inside a cluster. */
function hostOf(tags: readonly KeyValue[], cluster: string, process: string): string {
  for (const name of HOST_ATTRIBUTES) {
    const value = tags.find((tag) => tag.key === name)?.value;
    if (value !== undefined && value !== '') return cluster ? `${cluster}/${String(value)}` : String(value);
  }
  return `process ${process}`;
}

/**
 * A span that was sent twice is one span. Two that differ and share an id are the two sides of a call, as Zipkin writes
 * them: the server's becomes the child of the client's, and takes over the children.
 */
function distinct(spans: readonly SpanData[]): SpanData[] {
  const byId = new Map<string, SpanData>();
  const out: SpanData[] = [];
  const servers = new Map<string, SpanData>();
  for (const span of spans) {
    const seen = byId.get(span.id);
    if (!seen) {
      byId.set(span.id, span);
      out.push(span);
    } else if (isOtherSide(seen, span) && !servers.has(span.id)) {
      servers.set(span.id, seen.kind === 'server' ? seen : span);
      out.push(span);
    }
  }
  if (servers.size === 0) return out;
  for (const span of out) {
    const server = servers.get(span.parentId);
    if (server && server !== span) span.parentId = serverId(span.parentId);
  }
  for (const [id, server] of servers) {
    server.id = serverId(id);
    server.parentId = id;
  }
  return out;
}

function isOtherSide(a: SpanData, b: SpanData): boolean {
  return (a.kind === 'client' && b.kind === 'server') || (a.kind === 'server' && b.kind === 'client');
}

function serverId(id: string): string {
  return `${id}-server`;
}

/** The id that whoever sent it knows. */
export function sentId(id: string): string {
  return id.endsWith('-server') ? id.slice(0, -'-server'.length) : id;
}
