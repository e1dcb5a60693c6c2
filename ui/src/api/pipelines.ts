/** The ways telemetry takes between nodes: who sends here, what waits here, and what became of what is sent onward. */
import { withoutSecrets } from '../lib/addresses';
import { number, object, objects, text, type Wire } from '../lib/untyped';
import { type Answer, type Ask, getJson } from './http';

/** Items by reason. */
export type Reasons = Readonly<Record<string, number>>;

export type Verdict = 'equal' | 'under_way' | 'mismatch' | 'unknown';
export type HealthState = 'up' | 'down' | 'starting' | 'idle' | 'unknown';

/** What the receiving nodes have counted of one lane, all addresses together. */
export interface Receiver {
  requests: number;
  taken: number;
  refused: number;
  repeatedItems: number;
}

/** One destination and priority class. Counts are of items, ever. */
export interface Lane {
  destination: string;
  /** By which a receiving node counts its requests; 16 hexadecimal digits. */
  source: string;
  signal: string;
  class: string;
  produced: number;
  acknowledged: number;
  refused: Reasons;
  dropped: Reasons;
  pending: number;
  /** Of the queue behind its place, what waits for other destinations among it. */
  backlogBytes: number;
  lagSeconds: number;
  /** Produced less all that became of it. */
  difference: number;
  receiver: Receiver | null;
  /** Acknowledged less what the receiver has; null where it does not say. */
  receiverDifference: number | null;
  verdict: Verdict;
}

export interface Health {
  state: HealthState;
  /** The place of the address in use. */
  endpoint: number;
  /** Unix milliseconds. */
  answeredMs: number | null;
  failedMs: number | null;
  failure: string;
}

export interface Selection {
  tenants: string[];
  signals: string[];
  /** How many rules and selectors there are. */
  seriesRules: number;
  resourceRules: number;
  critical: number;
}

export interface Destination {
  name: string;
  protocol: string;
  endpoints: string[];
  health: Health;
  selection: Selection;
  maxBacklogBytes: number | null;
  lanes: Lane[];
}

/** What one node, destination and class of another node sent here. */
export interface Source {
  source: string;
  cluster: string;
  signal: string;
  from: string;
  requests: number;
  taken: number;
  refused: Reasons;
  repeatedRequests: number;
  repeatedItems: number;
  /** Unix milliseconds. */
  lastMs: number;
}

export interface Pipelines {
  cluster: string;
  replica: string;
  /** The clock of the node, Unix milliseconds: ages and rates are against it, never against the browser's. */
  timeMs: number;
  heldBytes: number;
  sources: Source[];
  destinations: Destination[];
  /** Lanes of destinations that are no longer configured. */
  removed: Lane[];
}

export async function pipelines(ask: Omit<Ask, 'params'>): Promise<Answer<Pipelines>> {
  const answer = await getJson<unknown>('/api/v1/orrery/pipelines', ask);
  return { ...answer, data: shapePipelines(answer.data) };
}

export function shapePipelines(body: unknown): Pipelines {
  const wire = object(body) ?? {};
  return {
    cluster: text(wire.cluster) || 'local',
    replica: text(wire.replica),
    timeMs: number(wire.time_ms) ?? 0,
    heldBytes: count(object(wire.queue)?.held_bytes),
    sources: objects(wire.sources).map(shapeSource),
    destinations: objects(wire.destinations).map(shapeDestination),
    removed: objects(wire.removed).map(shapeLane),
  };
}

const STATES: readonly HealthState[] = ['up', 'down', 'starting', 'idle'];
const VERDICTS: readonly Verdict[] = ['equal', 'under_way', 'mismatch'];

function shapeDestination(wire: Wire): Destination {
  const health = object(wire.health) ?? {};
  const selection = object(wire.selection) ?? {};
  return {
    name: text(wire.name) || 'unnamed',
    protocol: text(wire.protocol),
    endpoints: list(wire.endpoints),
    health: {
      state: STATES.find((state) => state === health.state) ?? 'unknown',
      endpoint: count(health.endpoint),
      answeredMs: number(health.answered_ms),
      failedMs: number(health.failed_ms),
      failure: withoutSecrets(text(health.failure)),
    },
    selection: {
      tenants: list(selection.tenants),
      signals: list(selection.signals),
      seriesRules: count(selection.write_relabel_rules),
      resourceRules: count(selection.resource_relabel_rules),
      critical: count(selection.critical),
    },
    maxBacklogBytes: number(wire.max_backlog_bytes),
    lanes: objects(wire.lanes).map(shapeLane),
  };
}

function shapeLane(wire: Wire): Lane {
  const receiver = object(wire.receiver);
  return {
    destination: text(wire.destination),
    source: text(wire.source),
    signal: text(wire.signal),
    class: text(wire.class) || text(wire.signal),
    produced: count(wire.produced),
    acknowledged: count(wire.acknowledged),
    refused: reasons(wire.refused),
    dropped: reasons(wire.dropped),
    pending: count(wire.pending),
    backlogBytes: count(wire.backlog_bytes),
    lagSeconds: count(wire.lag_seconds),
    difference: number(wire.difference) ?? 0,
    receiver: receiver
      ? {
          requests: count(receiver.requests),
          taken: count(receiver.taken),
          refused: count(receiver.refused),
          repeatedItems: count(receiver.repeated_items),
        }
      : null,
    receiverDifference: number(wire.receiver_difference),
    verdict: VERDICTS.find((verdict) => verdict === wire.state) ?? 'unknown',
  };
}

function shapeSource(wire: Wire): Source {
  return {
    source: text(wire.source),
    cluster: text(wire.cluster),
    signal: text(wire.signal),
    from: text(wire.from),
    requests: count(wire.requests),
    taken: count(wire.taken),
    refused: reasons(wire.refused),
    repeatedRequests: count(wire.repeated_requests),
    repeatedItems: count(wire.repeated_items),
    lastMs: count(wire.last_ms),
  };
}

function count(value: unknown): number {
  return number(value) ?? 0;
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function reasons(value: unknown): Reasons {
  return Object.fromEntries(Object.entries(object(value) ?? {}).map(([reason, n]) => [reason, count(n)]));
}
