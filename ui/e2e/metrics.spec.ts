/** Metrics without a query language: catalogue, cardinality, heat maps, exemplars, notes. */
import type { Page, Route } from '@playwright/test';
import { address, expect, expectAccessible, test } from './node';

const list = (page: Page) => page.getByRole('table', { name: 'Metrics' });

test('the catalogue filters by text, type, prefix and label, and all of it is in the address', async ({
  page,
  seed,
}) => {
  await page.goto(address('/metrics/catalog'));
  await page
    .getByRole('group', { name: 'Types' })
    .getByRole('button', { name: /^counter/ })
    .click();
  await expect(page).toHaveURL(/type=counter/);
  await page.getByRole('combobox', { name: 'Prefix' }).selectOption(seed.metric.split('_')[0] ?? '');
  await page.getByRole('textbox', { name: 'Search metrics' }).fill(seed.metric);
  await expect(list(page).getByRole('row')).toHaveCount(2);
  const before = page.url();
  await page.reload();
  await expect(list(page).getByRole('link', { name: seed.metric, exact: true })).toBeVisible();
  expect(page.url()).toBe(before);
  await page.getByRole('button', { name: 'Clear', exact: true }).click();
  const asked = page.waitForRequest((request) => decodeURIComponent(request.url()).includes('match[]={job="nowhere"}'));
  await page.getByRole('combobox', { name: 'Label' }).fill('job=nowhere');
  await page.keyboard.press('Enter');
  await asked;
  await expect(page.getByRole('heading', { name: 'No metric in this range' })).toBeVisible();
  await expectAccessible(page);
});

test('a click opens a graph that suits the type, another splits it, a third makes a query of it', async ({
  page,
  seed,
}) => {
  await page.goto(address('/metrics/catalog', { find: seed.metric }));
  await list(page).getByRole('link', { name: seed.metric, exact: true }).click();
  const metric = page.getByRole('region', { name: `Metric ${seed.metric}` });
  await expect(metric.locator('.exprText')).toHaveText(new RegExp(`^sum \\(rate\\(${seed.metric}\\[\\w+\\]\\)\\)$`));
  const split = metric.getByRole('group', { name: 'Split by label' }).getByRole('button', { disabled: false }).first();
  const label = ((await split.textContent()) ?? '').split(' ')[0] ?? '';
  await split.click();
  await expect(page).toHaveURL(new RegExp(`by=${label}`));
  await expect(metric.getByRole('table', { name: 'Series' }).getByRole('row').nth(2)).toBeVisible();
  await metric.getByRole('link', { name: 'Open as query' }).click();
  await expect(page).toHaveURL(/\/ui\/metrics\?/);
  await expect(page.getByRole('textbox', { name: 'PromQL query A' })).toContainText(
    `sum by (${label}) (rate(${seed.metric}`,
  );
});

test('only curves in sight are asked for, and few at a time', async ({ page }) => {
  const names = Array.from({ length: 12_000 }, (_, i) => `made_up_${String(i).padStart(5, '0')}_total`);
  await page.route('**/api/v1/label/__name__/values*', (route) =>
    route.fulfill({ json: { status: 'success', data: names } }),
  );
  let asked = 0;
  let running = 0;
  let most = 0;
  await page.route('**/api/v1/query_range*', async (route) => {
    asked += 1;
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 30));
    running -= 1;
    await route
      .fulfill({ json: { status: 'success', data: { resultType: 'matrix', result: [] } } })
      .catch(() => undefined);
  });
  await page.goto(address('/metrics/catalog'));
  await expect(page.getByRole('status').filter({ hasText: '12\u202f000 metrics' })).toBeVisible();
  await expect(list(page).getByText('nothing in this range').first()).toBeVisible();
  expect(await list(page).getByRole('row').count()).toBeLessThan(80);
  await list(page).evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await expect(list(page).getByRole('link', { name: 'made_up_11999_total' })).toBeVisible();
  await expect(list(page).getByText('nothing in this range').last()).toBeVisible();
  await expect.poll(() => running).toBe(0);
  expect(asked).toBeLessThan(160);
  expect(most).toBeLessThanOrEqual(4);
});

test('cardinality drills down by a click and says what leaving a label out saves', async ({ page }) => {
  await page.goto(address('/metrics/cardinality'));
  const metrics = page.getByRole('table', { name: 'Metrics' });
  const first = metrics.getByRole('button').first();
  const name = ((await first.getAttribute('title')) ?? '').replace('Only ', '');
  await first.click();
  await expect(page).toHaveURL(new RegExp(`match=${name}(&|$)`));
  await expect(page.getByRole('button', { name: `Remove ${name}` })).toBeVisible();
  const labels = page.getByRole('table', { name: 'Labels' });
  await labels.getByRole('checkbox').first().check();
  await expect(page).toHaveURL(/drop=/);
  const whatIf = page.getByRole('region', { name: 'What if' });
  await expect(whatIf).toContainText(/series become [\d\u202f]+: [\d\u202f]+ fewer, \d+ %/);
  await expect(whatIf).toContainText('metric_relabel_configs');
  await labels.getByRole('button').nth(5).click();
  await expect(page.getByRole('region', { name: /^Values of / })).toBeVisible();
  await expectAccessible(page);
  await page.goBack();
  await page.goBack();
  await expect(page).not.toHaveURL(/match=/);
});

test('a cut list of series says so', async ({ page }) => {
  await page.goto(address('/metrics/cardinality', { limit: '100' }));
  await expect(page.getByRole('status').filter({ hasText: /Only the first 100 series were read/ })).toBeVisible();
  await expect(page.getByRole('region', { name: 'Totals' })).toContainText('at least in this range');
});

/** A native histogram as a node answered it, put at every step that is asked for. */
const RECORDED = {
  count: '37.08571428571428',
  sum: '6.322143175815861',
  buckets: [
    [3, '-0.0001', '0.0001', '0.5'],
    [0, '0.0078125', '0.008519591661447326', '4.5'],
    [0, '0.009290680585958758', '0.010131559020711013', '20'],
    [0, '0.5', '0.5452538663326288', '12.08571428571428'],
  ],
};

async function answerNative(route: Route): Promise<void> {
  const params = new URL(route.request().url()).searchParams;
  const [start, end, step] = ['start', 'end', 'step'].map((name) => Number(params.get(name))) as [
    number,
    number,
    number,
  ];
  const histograms: unknown[] = [];
  for (let at = start; at <= end; at += step) histograms.push([at, RECORDED]);
  await route.fulfill({
    json: { status: 'success', data: { resultType: 'matrix', result: [{ metric: {}, histograms }] } },
  });
}

for (const scheme of ['light', 'dark'] as const) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test('native histograms are drawn as a heat map, with bounds on hover', async ({ page }) => {
      await page.route('**/api/v1/query_range*', answerNative);
      await page.goto(address('/metrics', { q: 'sum(rate(rpc_duration_seconds[5m]))' }));
      const heat = page.getByRole('group', { name: /Heat map of \d+ steps; at the last one p50 / });
      await expect(heat).toBeVisible();
      await expect(page.getByText('native histogram')).toBeVisible();
      const box = await heat.boundingBox();
      if (!box) throw new Error('the heat map has no box');
      await page.mouse.move(box.x + box.width / 2, box.y + 14);
      await expect(page.locator('.heatTip')).toContainText(/Bucket.*\(500 ms, 545\.3 ms\].*Count.*12\.09\/s/);
      await page.getByRole('group', { name: 'Value axis' }).getByRole('button', { name: 'Linear' }).click();
      await expect(page).toHaveURL(/scale=lin/);
      await expectAccessible(page);
      await page.getByRole('button', { name: 'Values' }).click();
      await expect(
        page
          .getByRole('table', { name: /values/ })
          .getByRole('row')
          .nth(1),
      ).toContainText('(9.29 ms, 10.13 ms]: 20/s');
    });

    test('exemplars stand on the graph and lead to their trace', async ({ page, seed }) => {
      await page.route('**/api/v1/query_exemplars*', (route) =>
        route.fulfill({
          json: {
            status: 'success',
            data: [
              {
                seriesLabels: { __name__: seed.metric, instance: 'localhost:8090', job: 'shop' },
                exemplars: [
                  {
                    labels: { trace_id: seed.traceId, user: 'u1' },
                    value: '1',
                    timestamp: Date.now() / 1e3 - 3 * 36e2,
                  },
                  { labels: { user: 'u2' }, value: '2', timestamp: Date.now() / 1e3 - 2 * 36e2 },
                ],
              },
            ],
          },
        }),
      );
      await page.goto(address('/metrics', { q: `count(${seed.metric})`, ex: 'on' }));
      await page.getByRole('button', { name: '2 exemplars, list them' }).click();
      const rows = page.getByRole('table', { name: /^Exemplars of/ });
      await expect(rows.getByRole('row')).toHaveCount(3);
      await expect(rows).toContainText('user=u2');
      await expectAccessible(page);
      const plot = page.locator('.timeChart .u-over').first();
      const box = await plot.boundingBox();
      if (!box) throw new Error('the chart has no box');
      // The mark of three hours ago stands in the middle of the six that are shown, near the foot of the chart.
      await expect
        .poll(async () => {
          for (let y = box.height - 1; y > 0; y -= 6) {
            await page.mouse.move(box.x + box.width / 2, box.y + y);
            if (await page.getByText('Click opens the trace').isVisible()) return true;
          }
          return false;
        })
        .toBe(true);
      await page.mouse.down();
      await page.mouse.up();
      await expect(page).toHaveURL(new RegExp(`/ui/trace/${seed.traceId}`));
    });
  });
}

test('a note on an answer says where in the query it belongs, and leads there', async ({ page }) => {
  const query = 'rate(process_memory_usage_bytes[5m])';
  await page.route('**/api/v1/query_range*', async (route) => {
    const response = await route.fetch();
    const body = (await response.json()) as Record<string, unknown>;
    body.infos = ['PromQL info: metric might not be a counter: "process_memory_usage_bytes" (1:6)'];
    await route.fulfill({ response, json: body });
  });
  await page.goto(address('/metrics', { q: query }));
  await expect(page.getByRole('textbox', { name: 'PromQL query A' })).toBeVisible();
  const notes = page.getByRole('list', { name: 'Notes on this answer' });
  await expect(notes).toContainText('metric might not be a counter');
  await expect(notes.locator('.noteAt')).toHaveText('process_memory_usage_bytes');
  await expect(page.locator('.cm-note-info')).toHaveText('process_memory_usage_bytes');
  await notes.getByRole('button', { name: /line 1, column 6/ }).click();
  await expect(page.getByRole('textbox', { name: 'PromQL query A' })).toBeFocused();
  await page.keyboard.type('X');
  await expect(page.getByRole('textbox', { name: 'PromQL query A' })).toHaveText(`rate(X${query.slice(5)}`);
});

/** The answer to `explain=true`, as a node gave it. */
const PLAN = [
  { parent: null, operator: 'sum', detail: 'by (job)', steps: 361, series: 3, bytes: 17328, seconds: 0.0121 },
  { parent: 0, operator: 'rate', detail: '', steps: 361, fused: true, series: 72, bytes: 415872, seconds: 0.0094 },
  { parent: 1, operator: 'range', detail: '5m', steps: 361, series: 72, bytes: 0, seconds: 0.0021 },
  {
    parent: 2,
    operator: 'selector',
    detail: '{__name__="node_cpu_seconds_total"}',
    steps: 361,
    series: 72,
    bytes: 0,
    seconds: 0.002,
    read: { id: 0, series: 72, samples: 17352, bytes: 277632, seconds: 0.0083, start: 0, end: 1 },
  },
].map((node) => ({ once: false, fused: false, reused: 0, read: null, ...node }));

test('the plan of a query is a tree with time, series and bytes, and folds', async ({ page, seed }) => {
  await page.route('**/api/v1/query_range*', async (route) => {
    expect(new URL(route.request().url()).searchParams.get('explain')).toBe('true');
    const response = await route.fetch();
    const body = (await response.json()) as { data: Record<string, unknown> };
    body.data.explain = { nodes: PLAN };
    await route.fulfill({ response, json: body });
  });
  await page.goto(address('/metrics', { q: `sum by (job) (rate(${seed.metric}[5m]))`, tabs: 'x' }));
  const tree = page.getByRole('treegrid', { name: 'Parts of the query' });
  await expect(tree.getByRole('row')).toHaveCount(5);
  await expect(tree.getByRole('row').nth(2)).toContainText(
    /in one pass with the part above\s*9\.4 ms\s*7\.3 ms\s*72\s*406\.1 KiB/,
  );
  await expect(tree.getByRole('row').nth(4)).toContainText(/17\u202f352\s*8\.3 ms/);
  await expectAccessible(page);
  await tree.getByRole('row').nth(1).focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowLeft');
  await expect(tree.getByRole('row')).toHaveCount(3);
});

/** Shifts that follow a click do not count: the browser leaves them out of the sum by itself. */
async function shiftOf(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        let sum = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) sum += (entry as PerformanceEntry & { value: number }).value;
        }).observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => resolve(sum), 300);
      }),
  );
}

for (const width of [1440, 900]) {
  test(`nothing moves while a page of metrics fills, ${width} wide`, async ({ page, seed }) => {
    await page.setViewportSize({ width, height: 900 });
    await page.goto(address('/metrics/catalog'));
    await expect(list(page).locator('.spark path').first()).toHaveAttribute('d', /^M/);
    expect(await shiftOf(page), 'catalogue').toBeLessThan(0.02);
    await page.goto(address('/metrics/catalog', { metric: seed.metric }));
    await expect(page.getByRole('table', { name: 'Series' })).toBeVisible();
    expect(await shiftOf(page), 'metric').toBeLessThan(0.02);
    await page.goto(address('/metrics/cardinality'));
    await expect(page.getByRole('region', { name: 'Churn' })).toContainText(/appeared/);
    await expect(page.getByRole('table', { name: 'Labels' })).toBeVisible();
    expect(await shiftOf(page), 'cardinality').toBeLessThan(0.02);
  });
}
