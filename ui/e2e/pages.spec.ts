/** Every page, light and dark: loads without a word on the console, shows data, has no accessibility fault. */
import { address, expect, expectAccessible, type Seed, test } from './node';
import type { Page } from '@playwright/test';

interface Case {
  name: string;
  at: (seed: Seed) => string;
  shows: (page: Page, seed: Seed) => Promise<void>;
}

const CASES: Case[] = [
  {
    name: 'fleet',
    at: () => address('/'),
    shows: async (page) => {
      await expect(page.getByRole('region', { name: /^Node / }).first()).toBeVisible();
      await expect(
        page
          .getByRole('row')
          .filter({ hasText: /metrics/i })
          .first(),
      ).toContainText(/ago|nothing yet/);
      await expect(page.getByRole('button', { name: /^Coverage: / })).toHaveAttribute(
        'data-state',
        /complete|late|partial/,
      );
    },
  },
  {
    name: 'metrics without a query',
    at: () => address('/metrics'),
    shows: async (page) => {
      await expect(page.getByRole('region', { name: 'Examples' }).getByRole('button').first()).toBeVisible();
      await expect(page.getByRole('option').first()).toBeVisible();
    },
  },
  {
    name: 'metrics as a graph',
    at: (seed) => address('/metrics', { q: [seed.metric, `count(${seed.metric})`] }),
    shows: async (page) => {
      await expect(page.getByRole('region', { name: 'Query A' })).toContainText(/[1-9]\d* series/);
      await expect(page.getByRole('group', { name: /series/ }).first()).toBeVisible();
      await expect(
        page.getByRole('region', { name: 'Query B' }).getByRole('table', { name: 'Series' }).getByRole('row'),
      ).toHaveCount(2);
    },
  },
  {
    name: 'metrics as tables',
    at: (seed) => address('/metrics', { q: [seed.metric, seed.metric], tabs: 'tv' }),
    shows: async (page) => {
      await expect(
        page
          .getByRole('table', { name: /at one instant/ })
          .getByRole('row')
          .nth(1),
      ).toBeVisible();
      await expect(
        page
          .getByRole('table', { name: /values/ })
          .getByRole('row')
          .nth(1),
      ).toBeVisible();
    },
  },
  {
    name: 'the parts of a query',
    at: (seed) => address('/metrics', { q: `sum by (job) (rate(${seed.metric}[5m]))`, tabs: 'x' }),
    shows: async (page) => {
      await expect(page.getByRole('row', { name: /^sum by \(job\)/ })).toBeVisible();
      await expect(page.getByText('Series read')).toBeVisible();
    },
  },
  {
    name: 'classic buckets as a heat map',
    at: (seed) => address('/metrics', { q: `sum by (le) (rate(${seed.buckets}[5m]))`, tabs: 'h' }),
    shows: async (page) => {
      await expect(page.getByRole('group', { name: /Heat map of [1-9]\d* steps/ })).toBeVisible();
      await expect(page.getByText('classic buckets')).toBeVisible();
    },
  },
  {
    name: 'the catalogue of metrics',
    at: () => address('/metrics/catalog'),
    shows: async (page, seed) => {
      const list = page.getByRole('table', { name: 'Metrics' });
      await expect(page.getByRole('status').filter({ hasText: /[1-9][\d\u202f]* metrics/ })).toBeVisible();
      await page.getByRole('textbox', { name: 'Search metrics' }).fill(seed.metric);
      await expect(list.getByRole('link', { name: seed.metric, exact: true })).toBeVisible();
      await expect(list.locator('.spark path').first()).toHaveAttribute('d', /^M/);
    },
  },
  {
    name: 'a metric of the catalogue',
    at: (seed) => address('/metrics/catalog', { metric: seed.metric }),
    shows: async (page, seed) => {
      const metric = page.getByRole('region', { name: `Metric ${seed.metric}` });
      await expect(metric.getByRole('button', { name: 'Rate', exact: true })).toHaveAttribute('aria-pressed', 'true');
      await expect(metric.getByRole('group', { name: /series/ }).first()).toBeVisible();
    },
  },
  {
    name: 'a histogram of the catalogue',
    at: (seed) => address('/metrics/catalog', { metric: seed.buckets.replace(/_bucket$/, '') }),
    shows: async (page) => {
      await expect(page.getByRole('button', { name: 'Heat map' })).toHaveAttribute('aria-pressed', 'true');
      await expect(page.getByRole('group', { name: /Heat map of [1-9]\d* steps/ })).toBeVisible();
    },
  },
  {
    name: 'cardinality',
    at: () => address('/metrics/cardinality'),
    shows: async (page) => {
      await expect(
        page.getByRole('status').filter({ hasText: /series in this range, all of them read/ }),
      ).toBeVisible();
      await expect(page.getByRole('table', { name: 'Labels' }).getByRole('row').nth(1)).toBeVisible();
      await expect(page.getByRole('region', { name: 'Churn' })).toContainText(/appeared/);
    },
  },
  {
    name: 'logs',
    at: (seed) => address('/logs', { field: seed.logLabel }),
    shows: async (page) => {
      await expect(page.getByRole('log').getByRole('button').first()).toBeVisible();
      await expect(page.getByRole('region', { name: 'Histogram' })).toContainText(
        /[1-9][\d\u202f]*\s*lines in the range/,
      );
      await expect(
        page
          .getByRole('complementary', { name: 'Fields' })
          .getByRole('button', { name: /^Only / })
          .first(),
      ).toBeVisible();
    },
  },
  {
    name: 'trace search without a query',
    at: () => address('/traces'),
    shows: async (page) => {
      await expect(page.getByRole('region', { name: 'Traces found' }).getByRole('link').first()).toBeVisible();
      await expect(page.getByRole('region', { name: 'Rate' })).toContainText(/[1-9][\d\u202f]* spans/);
    },
  },
  {
    name: 'trace search',
    at: (seed) => address('/traces', { service: seed.service }),
    shows: async (page) => {
      await expect(page.getByRole('region', { name: 'Traces found' }).getByRole('link').first()).toBeVisible();
      await expect(page.getByRole('group', { name: /^Durations over time/ })).toBeVisible();
    },
  },
  {
    name: 'the service map',
    at: () => address('/topology'),
    shows: async (page) =>
      expect(
        page
          .getByRole('region', { name: 'Service map' })
          // A node whose spans are of one service has none.
          .or(page.getByRole('heading', { name: 'No edges yet' })),
      ).toBeVisible(),
  },
  {
    name: 'a service',
    at: (seed) => address(`/services/${encodeURIComponent(seed.service)}`, { kind: 'all' }),
    shows: async (page, seed) => {
      await expect(page.getByRole('heading', { name: seed.service })).toBeVisible();
      await expect(page.getByRole('region', { name: 'Operations' })).toBeVisible();
    },
  },
  {
    name: 'trace',
    at: (seed) => address(`/trace/${seed.traceId}`),
    shows: async (page) => {
      await expect(page.getByRole('group', { name: /^Waterfall of [1-9]/ })).toBeVisible();
      await expect(page.getByRole('region', { name: 'Trace', exact: true })).toContainText('spans');
    },
  },
  {
    name: 'trace as a table',
    at: (seed) => address(`/trace/${seed.traceId}`, { view: 'table' }),
    shows: async (page) => expect(page.getByRole('table', { name: 'Spans' }).getByRole('row').nth(1)).toBeVisible(),
  },
];

for (const scheme of ['light', 'dark'] as const) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });
    for (const one of CASES) {
      test(`${one.name} shows data and has no accessibility fault`, async ({ page, seed }) => {
        await page.goto(one.at(seed));
        await one.shows(page, seed);
        await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', scheme);
        await expectAccessible(page);
      });
    }
  });
}

test('the root leads to the fleet', async ({ page }) => {
  await page.goto('/');
  await expect(page).toHaveURL(/\/ui\/$/);
  await expect(page.getByRole('heading', { level: 1, name: 'Fleet' })).toBeVisible();
});

test('an address that names nothing says so', async ({ page }) => {
  await page.goto('/ui/nowhere');
  await expect(page.getByRole('heading', { name: 'No such page' })).toBeVisible();
  await expectAccessible(page);
});

test('a trace that does not exist says what may have happened', async ({ page }) => {
  await page.goto('/ui/trace/00000000000000000000000000000abc');
  await expect(page.getByRole('heading', { name: /^No trace / })).toBeVisible();
});

test('an empty range says what to do next', async ({ page, seed }) => {
  const past = { from: '2001-01-01 00:00:00', to: '2001-01-01 01:00:00' };
  await page.goto(address('/metrics', { ...past, q: seed.metric }));
  await expect(page.getByText(/No series in this range/)).toBeVisible();
  await page.goto(address('/logs', { ...past, q: `{${seed.logLabel}=~".+"}` }));
  await expect(page.getByRole('heading', { name: 'No lines match in this range' })).toBeVisible();
  await page.goto(address('/traces', { ...past, service: seed.service }));
  await expect(page.getByRole('heading', { name: 'No trace matches' })).toBeVisible();
});
