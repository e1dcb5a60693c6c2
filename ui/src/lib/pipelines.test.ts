import { describe, expect, it } from 'vitest';
import { type Destination, type Lane, shapePipelines } from '../api/pipelines';
import { NO_HISTORY, remember } from './flowhistory';
import {
  addressPlace,
  clustersIn,
  destinationTone,
  explain,
  fitsSource,
  mainReason,
  reasonSays,
  selectionText,
  sortDestinations,
  sortLanes,
  sourceState,
  trendSays,
  verdictSays,
} from './pipelines';

const NOW = 1_790_000_000_000;

const destinations = (list: object[]): Destination[] => shapePipelines({ destinations: list }).destinations;
const lane = (more: object): Lane =>
  destinations([{ name: 'hub', lanes: [{ class: 'logs', ...more }] }])[0]?.lanes[0] as Lane;
const up = { state: 'up', answered_ms: NOW };

describe('an answer', () => {
  it('is read where much of it is absent or of another kind', () => {
    expect(shapePipelines(null)).toMatchObject({ cluster: 'local', sources: [], destinations: [], removed: [] });
    const [one] = destinations([{ name: 7, endpoints: 'x', health: { state: 'sleeping' }, lanes: [{ state: 'odd' }] }]);
    expect(one).toMatchObject({ name: 'unnamed', endpoints: [], health: { state: 'unknown', answeredMs: null } });
    expect(one?.lanes[0]).toMatchObject({ verdict: 'unknown', receiver: null, receiverDifference: null, dropped: {} });
  });
});

describe('a verdict', () => {
  const says = (more: object, addresses = 1, protocol = 'otlp') => verdictSays(lane(more), addresses, protocol);

  it('says what was lost or doubled, and what to do', () => {
    const fewer = says({ state: 'mismatch', receiver: { taken: 5 }, receiver_difference: 12 });
    expect(fewer.means).toBe('The receiver has 12 items fewer than it acknowledged.');
    expect(fewer.next).toContain('backup');
    const more = says({ state: 'mismatch', receiver: { taken: 5 }, receiver_difference: -1 });
    expect(more.means).toBe('The receiver has counted 1 item more than were acknowledged here.');
    const own = says({ state: 'mismatch', difference: 3 });
    expect(own.means).toContain('cannot account for 3 items');
    expect(own.next).toContain('report it');
  });

  it('tells why nothing was compared', () => {
    expect(says({ state: 'unknown' }).means).toContain('or it did not answer');
    expect(says({ state: 'unknown' }, 2).means).toContain('not all of its 2 addresses answered');
    expect(says({ state: 'unknown' }, 1, 'elasticsearch').means).toContain('ids of their own');
  });

  it('is said once for several classes', () => {
    const apart = (name: string, n: number) =>
      lane({ class: name, state: 'mismatch', receiver: { taken: 5 }, receiver_difference: n });
    const said = explain(
      [apart('metrics', 9), apart('logs', 12), lane({ class: 'traces', state: 'equal' })],
      1,
      'otlp',
    );
    expect(said.map((one) => [one.verdict, one.means.map(({ classes }) => classes)])).toEqual([
      ['mismatch', [['metrics'], ['logs']]],
      ['equal', [['traces']]],
    ]);
    const both = explain([lane({ state: 'equal' }), lane({ class: 'metrics', state: 'equal' })], 1, 'otlp');
    expect(both.map((one) => one.means)).toEqual([
      [{ classes: ['logs', 'metrics'], text: expect.any(String) as string }],
    ]);
  });

  it('asks for nothing where nothing is to be done', () => {
    expect(says({ state: 'equal' }).next).toBe('');
    expect(says({ state: 'under_way', pending: 48 }).means).toContain('48 items that still wait');
  });
});

describe('reasons', () => {
  it('are explained, those with a status in them too', () => {
    expect(reasonSays('queue_full')).toContain('queue.max_bytes');
    expect(reasonSays('http_400')).toContain('answered 400');
    expect(reasonSays('grpc_invalid_argument')).toContain('invalid argument');
    expect(reasonSays('anything else')).toContain('reason');
  });

  it('are led by the one of most items', () => {
    expect(mainReason({ a: 1, b: 5 })).toBe('b');
    expect(mainReason({})).toBe('');
  });
});

describe('destinations', () => {
  it('stand with the worst first, and as configured otherwise', () => {
    const sorted = sortDestinations(
      destinations([
        { name: 'fine', health: up },
        { name: 'full', health: up, max_backlog_bytes: 100, lanes: [{ backlog_bytes: 95, state: 'equal' }] },
        { name: 'lossy', health: up, lanes: [{ dropped: { queue_full: 1 }, state: 'equal' }] },
        { name: 'late', health: up, lanes: [{ pending: 1, lag_seconds: 61, state: 'under_way' }] },
        { name: 'down', health: { state: 'down' } },
        { name: 'odd', health: up, lanes: [{ state: 'mismatch' }] },
        { name: 'foreign', health: up, lanes: [{ state: 'unknown' }] },
        { name: 'idle', health: { state: 'idle' } },
      ]),
    );
    expect(sorted.map((one) => one.name)).toEqual(['full', 'down', 'odd', 'lossy', 'late', 'idle', 'fine', 'foreign']);
    expect(sorted.map(destinationTone)).toEqual(['bad', 'bad', 'bad', 'warn', 'warn', 'none', 'good', 'good']);
  });

  it('have classes by priority', () => {
    const classes = ['logs', 'zebra', 'traces', 'critical', 'metrics'].map((name) => lane({ class: name }));
    expect(sortLanes(classes).map((one) => one.class)).toEqual(['critical', 'metrics', 'traces', 'logs', 'zebra']);
  });

  it('say which of several addresses is in use, and what they select', () => {
    const [one] = destinations([
      {
        endpoints: ['a', 'b'],
        health: { endpoint: 1 },
        selection: { signals: ['logs'], tenants: ['dev'], write_relabel_rules: 2, critical: 1 },
      },
    ]) as [Destination];
    expect(addressPlace(one)).toBe('address 2 of 2');
    expect(addressPlace({ ...one, endpoints: ['a'] })).toBe('');
    expect(selectionText(one)).toBe('logs · tenants dev · 2 series rules · 1 critical selector');
  });

  it('let nothing flow to one that is down', () => {
    expect(trendSays({ kind: 'flowing' }).word).toBe('flowing');
    expect(trendSays({ kind: 'flowing' }, true)).toEqual({ word: 'waiting', tone: 'none' });
  });

  it('say when a backlog will be empty, no finer than it is known', () => {
    const draining = (secondsLeft: number) => trendSays({ kind: 'draining', perSecond: 1, secondsLeft }).word;
    expect([3, 750, 9e6].map(draining)).toEqual([
      'draining, empty in seconds',
      'draining, empty in 12m 30s',
      'draining, empty in over a month',
    ]);
  });
});

describe('sources', () => {
  const answer = (ageS: number, more: object = {}, atMs = NOW) =>
    shapePipelines({
      time_ms: atMs,
      sources: [
        { source: 'b2', cluster: 'edge-07', signal: 'logs', from: '10.0.0.7', last_ms: atMs - ageS * 1e3, ...more },
      ],
    });
  const state = (ageS: number) => sourceState(answer(ageS).sources[0]!, NO_HISTORY, NOW).word;

  it('are heard, quiet or silent', () => {
    expect([1, 90, 400].map(state)).toEqual(['heard', 'quiet', 'silent']);
  });

  it('are refused or send again where that rises', () => {
    const before = remember(NO_HISTORY, answer(1));
    const word = (more: object) => {
      const now = answer(1, more, NOW + 2000);
      return sourceState(now.sources[0]!, remember(before, now), NOW + 2000).word;
    };
    expect(word({ refused: { too_old: 3 } })).toBe('refused now');
    expect(word({ repeated_items: 9 })).toBe('sends again');
    expect(word({})).toBe('heard');
  });

  it('are found by any of their words', () => {
    const [one] = answer(1, { refused: { too_old: 1 } }).sources as [ReturnType<typeof answer>['sources'][0]];
    expect(['edge', 'LOGS edge-07', '10.0.0', 'too_old', 'prod'].map((find) => fitsSource(one, find))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
  });

  it('are one line per cluster, of what was heard last', () => {
    const all = shapePipelines({
      time_ms: NOW,
      sources: [
        { source: '1', cluster: 'calm', last_ms: NOW - 1000 },
        { source: '2', cluster: 'calm', last_ms: NOW - 900_000 },
        { source: '3', cluster: 'gone', last_ms: NOW - 900_000 },
      ],
    });
    expect(clustersIn(all, NO_HISTORY).map((one) => [one.cluster, one.sources.length, one.tone])).toEqual([
      ['gone', 1, 'bad'],
      ['calm', 2, 'good'],
    ]);
  });
});
