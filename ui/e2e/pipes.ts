/**
 * Answers of a node that sends onward and is sent to, so that the pipelines page can be tested against a node that does
 * neither: a hub that falls behind and drains, a receiver that is gone, one whose ledger disagrees. Time passes by a poll.
 */
import type { Page } from '@playwright/test';

const STEP_MS = 2000;

function lane(destination: string, name: string, more: object = {}) {
  return {
    destination,
    source: `${destination}${name}`.split('').reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 0xffffffff, 7).toString(16).padStart(16, '0'), // prettier-ignore
    signal: name === 'critical' ? 'metrics' : name,
    class: name,
    produced: 1200,
    acknowledged: 1200,
    refused: {},
    dropped: {},
    pending: 0,
    backlog_bytes: 0,
    lag_seconds: 0,
    removed: false,
    difference: 0,
    receiver: { requests: 40, taken: 1200, refused: 0, repeated_items: 0 },
    receiver_difference: 0,
    state: 'equal',
    ...more,
  };
}

function destination(name: string, startMs: number, lanes: object[], more: object = {}) {
  return {
    name,
    protocol: 'otlp',
    endpoints: [`https://${name}.example.com:4317`],
    health: { state: 'up', endpoint: 0, answered_ms: startMs, failed_ms: null, failure: null },
    selection: { tenants: [], signals: [], write_relabel_rules: 0, resource_relabel_rules: 0, critical: 1 },
    max_backlog_bytes: 8 * 2 ** 30,
    lanes,
    ...more,
  };
}

export function source(i: number, nowMs: number, more: object = {}) {
  return {
    source: i.toString(16).padStart(16, '0'),
    cluster: `leaf-${String(i).padStart(4, '0')}`,
    signal: ['metrics', 'logs', 'traces'][i % 3],
    from: `10.0.${i >> 8}.${i & 255}`,
    requests: 900,
    taken: 81_000 + i,
    refused: {},
    repeated_requests: 0,
    repeated_items: 0,
    last_ms: nowMs - 1500,
    ...more,
  };
}

/** The poll counts from 0. */
export type At = (poll: number, nowMs: number) => object;

export const QUIET: At = (_, nowMs) => ({
  destinations: [
    destination('hub', nowMs, [lane('hub', 'critical'), lane('hub', 'logs')]),
    destination('archive', nowMs, [lane('archive', 'logs')]),
  ],
});

export const TROUBLE: At = (poll, nowMs) => {
  const left = Math.max(0, 90_000 - 3000 * poll);
  const draining = lane('hub', 'metrics', {
    produced: 600_000,
    acknowledged: 600_000 - left,
    pending: left,
    backlog_bytes: left * 40_000,
    lag_seconds: left / 300,
    state: 'under_way',
    receiver: { requests: 900, taken: 600_000 - left, refused: 0, repeated_items: 512 },
  });
  return {
    queue: { held_bytes: 3.9e9 },
    sources: [
      source(1, nowMs, { cluster: 'edge-07', taken: 50_000 + 400 * poll }),
      source(2, nowMs, { cluster: 'edge-08', refused: { too_old: 12 + poll } }),
      source(3, nowMs, { cluster: 'edge-09', last_ms: nowMs - 720_000 }),
    ],
    destinations: [
      destination('hub', nowMs, [lane('hub', 'critical'), draining], {
        endpoints: ['https://dev-01:secret@hub-a.example.com:4317', 'https://hub-b.example.com:4317'],
        health: {
          state: 'up',
          endpoint: 1,
          answered_ms: nowMs,
          failed_ms: nowMs - 90_000,
          failure: 'deadline exceeded',
        },
      }),
      destination(
        'long-term',
        nowMs,
        [
          lane('long-term', 'metrics', {
            produced: 90_000 + 100 * poll,
            acknowledged: 20_000,
            pending: 70_000,
            dropped: { queue_full: 100 * poll },
            backlog_bytes: 8.2e6,
            lag_seconds: 1800 + 2 * poll,
            receiver: null,
            receiver_difference: null,
            state: 'unknown',
          }),
        ],
        {
          protocol: 'remote_write',
          max_backlog_bytes: 8 * 2 ** 20,
          health: {
            state: 'down',
            endpoint: 0,
            answered_ms: nowMs - 1_800_000,
            failed_ms: nowMs - 4000,
            failure: 'connection refused',
          },
        },
      ),
      destination('audit', nowMs, [
        lane('audit', 'logs', {
          state: 'mismatch',
          receiver: { requests: 40, taken: 1188, refused: 0, repeated_items: 0 },
          receiver_difference: 12,
        }),
      ]),
    ],
    removed: [lane('old-hub', 'logs', { removed: true, acknowledged: 1100, dropped: { destination_removed: 100 } })],
  };
};

export async function mockPipelines(page: Page, at: At): Promise<{ polls: () => number }> {
  let polls = 0;
  const startMs = Date.now();
  await page.route(/\/api\/v1\/orrery\/pipelines/, (route) => {
    const nowMs = startMs + polls * STEP_MS;
    const body = { cluster: 'edge-01', replica: null, time_ms: nowMs, sources: [], queue: { held_bytes: 0 }, destinations: [], removed: [], ...at(polls, nowMs) }; // prettier-ignore
    polls += 1;
    return route.fulfill({ json: body });
  });
  return { polls: () => polls };
}
