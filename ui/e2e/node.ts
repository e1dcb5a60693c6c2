/** What the node under test holds, so that the tests ask for things that exist instead of for names of one seed. */
import { expect, type Page, test as base } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export interface Seed {
  /** Some metric, a counter where there is one. */
  metric: string;
  /** The buckets of a classic histogram. */
  buckets: string;
  /** A query that has lines, and its stream label. */
  logLabel: string;
  service: string;
  traceId: string;
}

async function get(path: string): Promise<unknown> {
  const root = process.env.ORRERY_URL ?? 'http://127.0.0.1:9494';
  const response = await fetch(root + path);
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${(await response.text()).slice(0, 300)}`);
  return response.json();
}

/** How far back the tests look: a seeded node was filled moments ago, a real one holds more. */
export const RANGE = { from: 'now-6h', to: 'now' } as const;
const HOURS = 6;

export async function readSeed(): Promise<Seed> {
  const now = Date.now();
  const start = now - HOURS * 36e5;
  const names = (await get(`/api/v1/label/__name__/values?start=${start / 1e3}&end=${now / 1e3}`)) as {
    data: string[];
  };
  const labels = (await get(`/loki/api/v1/labels?start=${start}000000&end=${now}000000`)) as { data: string[] };
  const services = (await get('/jaeger/api/services')) as { data: string[] };
  const metric = names.data.find((name) => name.endsWith('_total')) ?? names.data[0];
  const buckets = names.data.find((name) => name.endsWith('_bucket'));
  const logLabel = ['service_name', 'job'].find((name) => labels.data.includes(name)) ?? labels.data[0];
  const found = await firstTrace(services.data, start, now);
  if (!metric || !buckets || !logLabel || !found)
    throw new Error('the node under test lacks metrics, logs or traces of the last six hours: seed it first');
  return { metric, buckets, logLabel, ...found };
}

/** A service is known for longer than its traces are kept: take the first that still has one. */
async function firstTrace(
  services: readonly string[],
  start: number,
  end: number,
): Promise<{ service: string; traceId: string } | null> {
  for (const service of services) {
    const traces = (await get(
      `/jaeger/api/traces?service=${encodeURIComponent(service)}&start=${start}000&end=${end}000&limit=20&lookback=custom`,
    )) as {
      data: { traceID: string; spans: unknown[] }[] | null;
    };
    const most = [...(traces.data ?? [])].sort((a, b) => b.spans.length - a.spans.length)[0];
    if (most) return { service, traceId: most.traceID };
  }
  return null;
}

/** Answers with an error status are part of some tests; the browser's own line about them is not a fault of the page. */
const EXPECTED = /Failed to load resource: the server responded with a status of 4\d\d/;

export const test = base.extend<{ faults: string[] }, { seed: Seed }>({
  seed: [async ({}, use) => use(await readSeed()), { scope: 'worker' }],
  faults: [
    async ({ page }, use) => {
      const faults: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error' && !EXPECTED.test(message.text())) faults.push(message.text());
      });
      page.on('pageerror', (error) => faults.push(error.message));
      await use(faults);
      expect(faults, 'nothing may be written to the console').toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  id: string;
  help: string;
  nodes: { html: string; failureSummary: string }[];
}

export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(axeSource);
  const violations = await page.evaluate(async () => {
    const axe = (
      window as unknown as { axe: { run: (where: Document, options: object) => Promise<{ violations: Violation[] }> } }
    ).axe;
    const result = await axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return result.violations.map(
      (one) =>
        `${one.id}: ${one.help}: ${one.nodes
          .slice(0, 3)
          .map((node) => `${node.html.slice(0, 160)} ${node.failureSummary.slice(0, 160)}`)
          .join(' | ')}`,
    );
  });
  expect(violations).toEqual([]);
}

export function address(path: string, search: Record<string, string | string[]> = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries({ ...RANGE, ...search }))
    for (const one of [value].flat()) params.append(key, one);
  return `/ui${path}?${params.toString()}`;
}
