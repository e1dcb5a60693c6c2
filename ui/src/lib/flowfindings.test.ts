import { describe, expect, it } from 'vitest';
import { type Pipelines, shapePipelines } from '../api/pipelines';
import { findingsOf, headlineOf } from './flowfindings';
import { type History, NO_HISTORY, remember } from './flowhistory';

const NOW = 1_790_000_000_000;
const up = { state: 'up', answered_ms: NOW, endpoint: 0 };
const lane = (more: object = {}) => ({
  destination: 'hub',
  source: 'a1',
  class: 'logs',
  signal: 'logs',
  state: 'equal',
  ...more,
});
const to = (name: string, more: object = {}, lanes: object[] = [lane({ destination: name })]) => ({
  name,
  health: up,
  protocol: 'otlp',
  endpoints: ['http://a'],
  max_backlog_bytes: 1000,
  lanes,
  ...more,
});
const answer = (more: object, timeMs = NOW): Pipelines =>
  shapePipelines({ cluster: 'edge-01', time_ms: timeMs, ...more });
/** The same shape of answer every two seconds; the last one is what is judged. */
const watched = (count: number, at: (i: number) => object): [Pipelines, History] => {
  const answers = Array.from({ length: count }, (_, i) => answer(at(i), NOW + i * 2000));
  return [answers.at(-1) as Pipelines, answers.reduce(remember, NO_HISTORY)];
};
const headline = (all: Pipelines, history: History = remember(NO_HISTORY, all)) =>
  headlineOf(all, findingsOf(all, history));

describe('the sentence at the top', () => {
  it('says that all is well, for one, two and many', () => {
    const says = (names: string[]) => headline(answer({ destinations: names.map((name) => to(name)) })).says;
    expect(says(['hub'])).toBe('hub is up, nothing was dropped or refused, and the ledgers agree.');
    expect(says(['a', 'b'])).toContain('Both destinations are up');
    expect(says(['a', 'b', 'c'])).toContain('All 3 destinations are up');
  });

  it('claims of ledgers no more than was compared', () => {
    const says = (...states: string[]) =>
      headline(
        answer({
          destinations: [
            to(
              'hub',
              {},
              states.map((state, i) => lane({ state, source: String(i) })),
            ),
          ],
        }),
      ).says;
    expect(says('unknown')).toContain('no receiver has a ledger to compare with');
    expect(says('equal', 'unknown')).toContain('agree where the receiver has one (1 of 2 classes)');
    expect(says()).toContain('nothing was sent yet');
    const pending = answer({ destinations: [to('hub', {}, [lane({ state: 'under_way', pending: 48 })])] });
    expect(headline(pending).says).toContain('the ledgers agree, with 48 items under way');
  });

  it('tells of items that were refused earlier without alarm', () => {
    const all = answer({ destinations: [to('hub', {}, [lane({ refused: { http_400: 2 } })])] });
    expect(headline(all)).toMatchObject({ tone: 'good' });
    expect(headline(all).says).toContain('2 items were refused earlier');
    expect(findingsOf(all, remember(NO_HISTORY, all)).map((one) => one.tone)).toEqual(['none']);
  });

  it('names idle destinations', () => {
    const idle = { health: { state: 'idle' } };
    expect(headline(answer({ destinations: [to('a', idle, []), to('b')] })).says).toContain(
      '1 of 2 destinations are up, the others idle',
    );
  });

  it('speaks of sources where nothing is sent onward', () => {
    const source = (cluster: string) => ({ source: cluster, cluster, last_ms: NOW - 1000 });
    expect(headline(answer({ sources: [source('a'), source('b')] }))).toMatchObject({ tone: 'good' });
    expect(headline(answer({ sources: [source('a'), source('b')] })).says).toContain('2 clusters send here');
    expect(headline(answer({ sources: [source('a'), source('')] })).says).toContain('One cluster sends here');
    expect(headline(answer({}))).toMatchObject({ tone: 'none' });
  });

  it('is the worst of what is wrong', () => {
    const all = answer({
      destinations: [
        to('late', { health: { ...up, endpoint: 1 }, endpoints: ['a', 'b'] }),
        to('gone', { health: { state: 'down', answered_ms: NOW - 720_000, failure: 'connection refused' } }),
        to('odd', {}, [
          lane({ destination: 'odd', state: 'mismatch', receiver: { taken: 1 }, receiver_difference: 12 }),
        ]),
      ],
    });
    const found = findingsOf(all, remember(NO_HISTORY, all));
    expect(found.map((one) => one.destination)).toEqual(['odd', 'gone', 'late']);
    expect(headlineOf(all, found)).toMatchObject({
      tone: 'bad',
      says: 'odd, logs: the receiver has 12 items fewer than it acknowledged.',
    });
    expect(found[1]?.says).toBe('gone is down: it has taken nothing for 12m.');
    expect(found[1]?.next).toContain('connection refused');
  });
});

describe('what is wrong', () => {
  const first = ([all, history]: [Pipelines, History]) => findingsOf(all, history)[0];

  it('is loss while it happens, and what was lost after it', () => {
    const losing = watched(5, (i) => ({ destinations: [to('hub', {}, [lane({ dropped: { queue_full: i * 10 } })])] }));
    expect(first(losing)).toMatchObject({
      tone: 'bad',
      says: 'hub, logs: 40 items were dropped in the last minute (queue_full).',
    });
    const lost = watched(40, () => ({ destinations: [to('hub', {}, [lane({ dropped: { queue_full: 40 } })])] }));
    expect(first(lost)).toMatchObject({
      tone: 'warn',
      says: 'hub, logs: 40 items were dropped since it was set up (queue_full), none in the last minute.',
    });
    // Before a minute was watched, nothing is claimed of it.
    const fresh = watched(1, () => ({ destinations: [to('hub', {}, [lane({ dropped: { queue_full: 40 } })])] }));
    expect(first(fresh)?.says).toBe('hub, logs: 40 items were dropped since it was set up (queue_full).');
  });

  it('is a queue that fills, with the time it will be full', () => {
    const filling = watched(31, (i) => ({
      destinations: [to('hub', {}, [lane({ state: 'under_way', pending: i + 1, backlog_bytes: 600 + 10 * i })])],
    }));
    expect(first(filling)).toMatchObject({ tone: 'warn' });
    expect(first(filling)?.says).toBe('hub, logs: the backlog is 900 B of 1000 B, full in about 20s.');
  });

  it('is a class that is stuck while its destination is up', () => {
    const stuck = watched(32, () => ({
      destinations: [to('hub', {}, [lane({ state: 'under_way', pending: 5, acknowledged: 7, lag_seconds: 200 })])],
    }));
    expect(first(stuck)).toMatchObject({ tone: 'bad' });
    expect(first(stuck)?.says).toContain('nothing of it was taken in the last minute');
  });

  it('is a class that catches up, and when it will have', () => {
    const draining = watched(32, (i) => ({
      destinations: [
        to('hub', {}, [lane({ state: 'under_way', pending: 1000 - 20 * i, acknowledged: 20 * i, lag_seconds: 400 })]),
      ],
    }));
    expect(first(draining)).toMatchObject({ tone: 'warn', next: 'It is catching up by itself.' });
    expect(first(draining)?.says).toContain('6m 40s behind with 380 items to send; empty in about 38s');
  });

  it('stands before what only deserves a look', () => {
    const [all, history] = watched(5, (i) => ({
      sources: [{ source: 'a', cluster: 'edge-07', last_ms: NOW + i * 2000, refused: { too_old: i } }],
      destinations: [to('hub', {}, [lane({ state: 'under_way', pending: 5, lag_seconds: 100 })])],
    }));
    expect(findingsOf(all, history).map((one) => one.tone)).toEqual(['bad', 'warn']);
  });

  it('is a cluster that fell silent, but not one that left long ago', () => {
    const silent = (ageS: number) => {
      const all = answer({ sources: [{ source: 'a', cluster: 'edge-07', last_ms: NOW - ageS * 1e3 }] });
      return findingsOf(all, remember(NO_HISTORY, all)).map((one) => one.says);
    };
    expect(silent(30)).toEqual([]);
    expect(silent(720)).toEqual(['Nothing came from edge-07 for 12m.']);
    expect(silent(200_000)).toEqual([]);
  });

  it('is what this node refuses of others, in its own voice', () => {
    const refusing = watched(3, (i) => ({
      sources: [{ source: 'a', cluster: 'edge-07', last_ms: NOW + i * 2000, refused: { too_old: i * 5 } }],
    }));
    expect(first(refusing)).toMatchObject({
      tone: 'bad',
      says: 'This node refused 10 items of edge-07 in the last minute (too_old).',
      next: 'They are older than this node takes.',
    });
  });

  it('is what still waits for a destination that was taken out', () => {
    const all = answer({ removed: [lane({ pending: 3 }), lane({ pending: 0, dropped: { destination_removed: 9 } })] });
    expect(findingsOf(all, remember(NO_HISTORY, all)).map((one) => one.says)).toEqual([
      'hub, logs: no longer configured, and 3 items still wait for it.',
    ]);
  });
});
