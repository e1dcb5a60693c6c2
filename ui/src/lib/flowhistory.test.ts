import { describe, expect, it } from 'vitest';
import { type Pipelines, shapePipelines } from '../api/pipelines';
import {
  addRates,
  addSamples,
  columnsOf,
  fullIn,
  type History,
  increase,
  KEEP_MS,
  laneKey,
  laneSamples,
  lossesNow,
  NO_HISTORY,
  rate,
  rateSamples,
  refusedNow,
  remember,
  type Sample,
  sourceSamples,
  trendOf,
  watchedMs,
  windowMs,
} from './flowhistory';

const lane = (more: object) => ({ destination: 'hub', source: 'a1', class: 'logs', signal: 'logs', ...more });
const seen = (timeMs: number, more: object, source: object = {}): Pipelines =>
  shapePipelines({
    time_ms: timeMs,
    destinations: [{ name: 'hub', lanes: [lane(more)] }],
    sources: [{ source: 'b2', cluster: 'edge-07', ...source }],
  });
const KEY = laneKey({ destination: 'hub', class: 'logs', source: 'a1' });
const watch = (answers: readonly Pipelines[]): History => answers.reduce(remember, NO_HISTORY);
/** A value every two seconds. */
const every2s = (values: readonly number[]): Sample[] => values.map((value, i) => ({ atMs: 1e6 + i * 2000, value }));

describe('what was seen', () => {
  it('is remembered once, in order, for as long as plots show', () => {
    const first = seen(1000, { acknowledged: 1 });
    const history = watch([first, first, seen(3000, { acknowledged: 5 })]);
    expect(laneSamples(history, KEY, 'acknowledged')).toEqual([
      { atMs: 1000, value: 1 },
      { atMs: 3000, value: 5 },
    ]);
    expect(remember(history, seen(3000, { acknowledged: 9 }))).toBe(history);
    const later = remember(history, seen(3001 + KEEP_MS, { acknowledged: 6 }));
    expect(laneSamples(later, KEY, 'acknowledged').map((one) => one.value)).toEqual([6]);
  });

  it('keeps of sources only what a rate needs', () => {
    const answers = Array.from({ length: 100 }, (_, i) => seen(i * 2000, { acknowledged: i }, { taken: i * 10 }));
    const history = watch(answers);
    expect(history.polls).toHaveLength(100);
    expect(history.heard).toHaveLength(31);
    expect(rate(sourceSamples(history, 'b2', 'taken'))).toBe(5);
  });

  it('begins anew when the clock of the node was put back', () => {
    const history = watch([seen(9000, { pending: 4 }), seen(11_000, { pending: 5 }), seen(2000, { pending: 6 })]);
    expect(laneSamples(history, KEY, 'pending')).toEqual([{ atMs: 2000, value: 6 }]);
  });

  it('is told by the reasons that rose, not by those that are many', () => {
    const dropped = (now: number) => ({ dropped: { lost_on_disk: 1_000_000, queue_full: now } });
    const history = watch([
      seen(1000, dropped(0), { refused: {} }),
      seen(3000, dropped(7), { refused: { too_old: 2 } }),
    ]);
    expect(lossesNow(history, KEY, 'dropped')).toEqual({ queue_full: 7 });
    expect(lossesNow(history, KEY, 'refused')).toEqual({});
    expect(refusedNow(history, 'b2')).toEqual({ too_old: 2 });
  });

  it('fills windows that grow in few steps, and a break ends the watch', () => {
    const at = (...seconds: number[]) => watch(seconds.map((s) => seen(s * 1e3 + 1, { pending: 1 })));
    expect([at(0), at(0, 61), at(0, 100, 200)].map(windowMs)).toEqual([60_000, 120_000, KEEP_MS]);
    expect(watchedMs(at(0, 2, 4, 6))).toBe(6000);
    expect(watchedMs(at(0, 2, 60, 62))).toBe(2000);
    expect(watchedMs(NO_HISTORY)).toBe(0);
  });
});

describe('rates', () => {
  it('need two answers', () => {
    expect(rate([])).toBeNull();
    expect(rate(every2s([5]))).toBeNull();
    expect(rate(every2s([5, 25]))).toBe(10);
  });

  it('are of the last seconds only', () => {
    const samples = every2s([...Array.from({ length: 20 }, () => 0), 0, 100, 200, 300, 400, 500, 600, 700]);
    expect(rate(samples)).toBe(50);
  });

  it('leave out the step in which a counter was set back', () => {
    expect(rate(every2s([1000, 1010, 300, 310]))).toBe(5);
    expect(increase(every2s([1000, 1010, 300, 310]), 60_000)).toBe(20);
    expect(rate(every2s([1000, 300]))).toBeNull();
  });

  it('add up where they are known', () => {
    expect(addRates([null, 2, 3])).toBe(5);
    expect(addRates([null])).toBeNull();
    expect(addSamples([every2s([1, 2]), every2s([10])])).toEqual([
      { atMs: 1e6, value: 11 },
      { atMs: 1e6 + 2000, value: 2 },
    ]);
  });
});

describe('a backlog', () => {
  it('is empty, or flows where it was empty lately', () => {
    expect(trendOf([]).kind).toBe('unknown');
    expect(trendOf(every2s([5, 3, 0])).kind).toBe('empty');
    expect(trendOf(every2s([0, 40, 0, 60, 20])).kind).toBe('flowing');
    expect(trendOf(every2s([0, 0, 10, 20, 30, 40, 50])).kind).toBe('growing');
  });

  it('has no direction before it was watched for a while', () => {
    expect(trendOf(every2s([10, 20, 30])).kind).toBe('unknown');
  });

  it('grows, also by little against what is there', () => {
    const trend = trendOf(every2s(Array.from({ length: 30 }, (_, i) => 1_000_000 + 10 * i)));
    expect(trend).toMatchObject({ kind: 'growing' });
    expect(trend.kind === 'growing' ? trend.perSecond : 0).toBeCloseTo(5);
  });

  it('drains, and is empty when the pace says', () => {
    const trend = trendOf(every2s(Array.from({ length: 20 }, (_, i) => 1000 - 20 * i)));
    expect(trend.kind === 'draining' ? [trend.perSecond, trend.secondsLeft] : []).toEqual([
      expect.closeTo(10) as number,
      expect.closeTo(62) as number,
    ]);
  });

  it('grows in the steps of a scrape, and stands where it only swings', () => {
    const steps = Array.from({ length: 31 }, (_, i) => 500 + 800 * Math.floor(i / 7.5));
    expect(trendOf(every2s(steps)).kind).toBe('growing');
    const swings = Array.from({ length: 31 }, (_, i) => 500 + 100 * (i % 2));
    expect(trendOf(every2s(swings)).kind).toBe('steady');
  });

  it('is full when the pace says, where it grows', () => {
    const growing = every2s(Array.from({ length: 31 }, (_, i) => 1000 * i));
    expect(fullIn(growing, 40_000)).toBeCloseTo(20);
    expect(fullIn(growing, 20_000)).toBeNull();
    expect(fullIn(every2s([3, 2, 0]), 100)).toBeNull();
  });
});

describe('plots', () => {
  it('have a rate at each moment but the first', () => {
    expect(rateSamples(every2s([0, 10, 30])).map((one) => one.value)).toEqual([5, 7.5]);
  });

  it('have a hole where nobody watched', () => {
    const line = [
      { atMs: 0, value: 1 },
      { atMs: 2000, value: 2 },
      { atMs: 62_000, value: 3 },
    ];
    expect(columnsOf([line, line.slice(2)])).toEqual([
      [0, 2, 32, 62],
      [1, 2, null, 3],
      [null, null, null, 3],
    ]);
  });
});
