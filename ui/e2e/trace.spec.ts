/** One trace and two: its views, what it lacks, its clocks, where it leads, and how it stands when it is very large. */
import type { Page } from '@playwright/test';
import type { Server } from 'node:http';
import { coverageAnswer, nowSeconds } from './mesh';
import { expect, expectAccessible, test } from './node';
import { LARGE, MANY, mockLarge, mockTraces, OTHER, serveLarge, SHOP, SLOWER } from './traces';

const at = (id: string, search: Record<string, string> = {}) =>
  `/ui/trace/${id}?${new URLSearchParams({ tz: 'utc', ...search }).toString()}`;
const waterfall = (page: Page) => page.getByRole('group', { name: /^Waterfall of/ });
const detail = (page: Page) => page.getByRole('complementary', { name: 'Span' });
const PAYMENT = '0000000000000006';

/** Colours on a canvas, with how many pixels each has: what is drawn, not what was meant to be. */
async function inkOf(page: Page, selector: string): Promise<number> {
  return page.locator(selector).evaluate((element: HTMLCanvasElement) => {
    const { data } = element.getContext('2d')?.getImageData(0, 0, element.width, element.height) ?? { data: [] };
    const colours = new Map<number, number>();
    for (let i = 0; i < data.length; i += 4) {
      const colour = ((data[i] ?? 0) << 16) | ((data[i + 1] ?? 0) << 8) | (data[i + 2] ?? 0);
      if ((data[i + 3] ?? 0) > 40) colours.set(colour, (colours.get(colour) ?? 0) + 1);
    }
    return [...colours.values()].filter((count) => count > 200).length;
  });
}

for (const scheme of ['light', 'dark'] as const) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test('every view of a trace and of two shows data and has no accessibility fault', async ({ page }) => {
      test.setTimeout(150_000);
      const now = nowSeconds();
      await mockTraces(page, { coverage: coverageAnswer('traces', now - 3600, now), lines: { [PAYMENT]: 3 } });
      await page.goto(at(SHOP, { span: PAYMENT }));
      await expect(page.getByRole('group', { name: 'Waterfall of 9 spans over 480ms, 1 more missing' })).toBeVisible();
      await expect(detail(page)).toContainText('CardDeclined: the bank said no');
      await expect.poll(() => inkOf(page, '.waterfallCanvas')).toBeGreaterThan(2);
      await expectAccessible(page);
      await page.goto(at(SHOP, { view: 'flame' }));
      await expect(page.getByRole('group', { name: /^Flame graph\. \d+ paths of 9 spans/ })).toBeVisible();
      await expect.poll(() => inkOf(page, '.flameCanvas')).toBeGreaterThan(2);
      await expectAccessible(page);
      await page.goto(at(SHOP, { view: 'stats' }));
      await expect(page.getByRole('table', { name: 'Statistics' }).getByRole('row')).toHaveCount(10);
      await expectAccessible(page);
      await page.goto(at(SHOP, { view: 'table' }));
      await expect(page.getByRole('table', { name: 'Spans' })).toContainText('missing span');
      await expectAccessible(page);
      for (const view of ['', '&view=table']) {
        await page.goto(`/ui/traces/compare?a=${SHOP}&b=${SLOWER}${view}`);
        await expect(page.getByRole('list', { name: 'Differences' })).toContainText('1 added');
        await expectAccessible(page);
      }
    });
  });
}

test('a trace that lacks a cluster says so at its top, and which', async ({ page }) => {
  const now = nowSeconds();
  await mockTraces(page, { coverage: coverageAnswer('traces', now - 3600, now) });
  await page.goto(at(SHOP));
  await expect(page.getByRole('region', { name: 'Trace', exact: true })).toContainText('partial');
  const notices = page.getByRole('list', { name: 'About this trace' });
  await expect(notices).toContainText('This trace is partial: spans of dev-01 (missing)');
  await notices.getByRole('link', { name: 'dev-01' }).click();
  await expect(page).toHaveURL(/\/ui\/federation\?.*peer=dev-01/);
});

test('a missing parent has a row that says how many spans hang below it', async ({ page }) => {
  await mockTraces(page);
  await page.goto(at(SHOP));
  await expect(page.getByRole('list', { name: 'About this trace' })).toContainText(
    '1 span is missing: 2 spans hang below.',
  );
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await expect(page).toHaveURL(/span=0000000000000063/);
  await expect(detail(page)).toContainText('2 spans hang below it');
});

test('clocks are set right, told by how much, and shown as sent from the address', async ({ page }) => {
  await mockTraces(page);
  await page.goto(at(SHOP, { view: 'table' }));
  const notices = page.getByRole('list', { name: 'About this trace' });
  await expect(notices).toContainText('3 spans were moved (prod-01/node-2: 3 by +70ms)');
  const start = page.getByRole('table', { name: 'Spans' }).getByRole('row').filter({ hasText: 'POST /checkout' });
  await expect(start).toContainText('42ms');
  await notices.getByRole('button', { name: 'As sent' }).click();
  await expect(page).toHaveURL(/clock=raw/);
  await expect(notices).toContainText('3 spans would be moved');
  await expect(start).toContainText('0µs');
  await page.keyboard.press('v');
  await page.keyboard.press('c');
  await expect(page).not.toHaveURL(/clock=/);
  await expect(start).toContainText('42ms');
});

test('the critical path is drawn, told, and can be left out', async ({ page }) => {
  await mockTraces(page);
  await page.goto(at(SHOP, { span: '0000000000000004' }));
  await expect(waterfall(page)).toBeVisible();
  await expect(page.locator('.waterfallBox [aria-live]')).toHaveText(/checkout SELECT stock.*on the critical path/);
  await expect(detail(page)).toContainText('Critical80ms');
  await page.getByRole('button', { name: 'Critical path' }).click();
  await expect(page).toHaveURL(/path=off/);
  await expect(page.locator('.waterfallBox [aria-live]')).not.toHaveText(/critical path/);
  await page.getByRole('button', { name: 'Statistics' }).click();
  const stock = page.getByRole('row').filter({ hasText: 'SELECT stock' });
  await expect(stock.getByRole('cell').nth(6)).toHaveText('80ms');
});

test('a search goes from match to match and opens what hides them', async ({ page }) => {
  await mockTraces(page);
  await page.goto(at(SHOP, { depth: '0' }));
  const field = page.getByRole('textbox', { name: 'Find spans' });
  await field.fill('service=payment');
  await expect(page.getByRole('status').filter({ hasText: '4 match' })).toBeVisible();
  await field.press('Enter');
  await expect(page).toHaveURL(new RegExp(`span=${PAYMENT}`));
  await expect(page.getByRole('status').filter({ hasText: '1 of 4 match' })).toBeVisible();
  await expect(page).toHaveURL(/fold=/);
  await field.press('Shift+Enter');
  await expect(page.getByRole('status').filter({ hasText: '4 of 4 match' })).toBeVisible();
  await waterfall(page).focus();
  await page.keyboard.press('f');
  await expect(page.getByRole('status').filter({ hasText: '1 of 4 match' })).toBeVisible();
  await page.keyboard.press('b');
  await expect(page.getByRole('status').filter({ hasText: '4 of 4 match' })).toBeVisible();
  await field.fill('');
  await page.getByRole('button', { name: 'Errors 1' }).click();
  await expect(page.getByRole('status').filter({ hasText: '1 match' })).toBeVisible();
});

test('a span leads to its lines in its own cluster, to those of its pod, and to metrics', async ({ page }) => {
  await mockTraces(page, { lines: { [PAYMENT]: 3 } });
  await page.goto(at(SHOP, { span: PAYMENT, scope: 'cluster=ops-01' }));
  const places = page.getByRole('navigation', { name: 'Logs and metrics of this span' });
  const query = async (name: string | RegExp) => {
    const href = await places.getByRole('link', { name }).getAttribute('href');
    return new URL(href ?? '', 'http://x').searchParams;
  };
  await expect(places.getByRole('link', { name: 'Logs of this span 3' })).toBeVisible();
  expect((await query(/^Logs of this span/)).get('q')).toBe(
    `{cluster="edge-07"} | trace_id="${SHOP}" | span_id="${PAYMENT}"`,
  );
  const pod = await query('Logs of its pod');
  expect(pod.get('q')).toBe('{cluster="edge-07", k8s_namespace_name="shop", k8s_pod_name="payment-7d9"}');
  expect(Number(pod.get('to')) - Number(pod.get('from'))).toBeLessThan(20_000);
  expect(pod.get('scope')).toBeNull();
  await expect(places.getByRole('link', { name: 'Metrics of this operation' })).toBeVisible();
  expect((await query('Metrics of this operation')).getAll('q')).toHaveLength(3);
  const metrics = await query('Metrics of its pod');
  expect([metrics.get('label'), metrics.get('scope')]).toEqual(['k8s_pod_name=payment-7d9', 'cluster=edge-07']);
  await places.getByRole('link', { name: /^Logs of this span/ }).click();
  await expect(page).toHaveURL(/\/ui\/logs\?.*span_id/);
});

test('a span whose id no line has says so, and still leads to its pod', async ({ page }) => {
  await mockTraces(page, { lines: { [PAYMENT]: 3 } });
  await page.goto(at(SHOP, { span: '0000000000000004' }));
  const places = page.getByRole('navigation', { name: 'Logs and metrics of this span' });
  await expect(places).toContainText('No line has its id.');
  await expect(places.getByRole('link', { name: 'Logs of its pod' })).toBeVisible();
});

test('a link of a span leads to the other trace', async ({ page }) => {
  await mockTraces(page);
  await page.goto(at(SHOP, { span: '0000000000000003' }));
  await detail(page).getByRole('region', { name: 'Links' }).getByRole('link').click();
  await expect(page).toHaveURL(new RegExp(`/ui/trace/${OTHER}\\?.*span=0000000000000007`));
  await expect(waterfall(page)).toBeVisible();
});

test('the flame graph is walked and zoomed by keys, and leads to the slowest span', async ({ page }) => {
  await mockTraces(page);
  await page.goto(at(SHOP, { view: 'flame' }));
  const flame = page.getByRole('group', { name: /^Flame graph/ });
  await flame.focus();
  await page.keyboard.press('ArrowDown');
  await expect(page.locator('.flame [aria-live]')).toHaveText(/^frontend GET \/cart: Spans 1/);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/focus=0000000000000002/);
  await page.getByRole('button', { name: 'Its span' }).click();
  await expect(detail(page)).toContainText('POST checkout');
  await page.getByRole('button', { name: 'Show all' }).click();
  await expect(page).not.toHaveURL(/focus=/);
});

test('statistics add up by any attribute and find their spans', async ({ page }) => {
  await mockTraces(page);
  await page.goto(at(SHOP, { view: 'stats' }));
  await page.getByRole('button', { name: 'Service', exact: true }).click();
  await expect(page).toHaveURL(/group=service/);
  await expect(page.getByRole('table', { name: 'Statistics' }).getByRole('row')).toHaveCount(4);
  await page.getByRole('textbox', { name: 'Add up by an attribute' }).fill('db.system');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('status').filter({ hasText: '1 group; 8 spans have no db.system' })).toBeVisible();
  await page.getByRole('button', { name: 'postgresql' }).click();
  await expect(page.getByRole('status').filter({ hasText: '1 match' })).toBeVisible();
  await expect(waterfall(page)).toBeVisible();
});

test('two traces are compared by their paths', async ({ page }) => {
  await mockTraces(page);
  await page.goto(at(SHOP));
  await page.getByRole('link', { name: 'Compare', exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`/ui/traces/compare\\?.*a=${SHOP}`));
  await page.getByRole('textbox', { name: 'Id of trace B' }).fill('no id');
  await expect(page.getByRole('button', { name: 'Use', exact: true })).toBeDisabled();
  await page.getByRole('textbox', { name: 'Id of trace B' }).fill(SLOWER);
  await page.keyboard.press('Enter');
  const counts = page.getByRole('list', { name: 'Differences' });
  await expect(counts).toContainText('1 added');
  await expect(counts).toContainText('1 removed');
  await expect(counts).toContainText('5 slower');
  await expect(counts).toContainText('1 called another number of times');
  await expect.poll(() => inkOf(page, '.flameCanvas')).toBeGreaterThan(2);
  await page.getByRole('button', { name: 'Table', exact: true }).click();
  const table = page.getByRole('table', { name: 'Paths of both traces' });
  await expect(table.getByRole('row').filter({ hasText: 'ledger insert' })).toContainText('added');
  await expect(table.getByRole('row').filter({ hasText: 'fraud check' })).toContainText('removed');
  await expect(table.getByRole('row').filter({ hasText: 'GET /cart' })).toContainText('+140ms');
  await page.getByRole('button', { name: 'Only changes' }).click();
  await expect(table.getByRole('row').filter({ hasText: 'settle' })).toHaveCount(0);
  await page.getByRole('button', { name: 'Swap the two traces' }).click();
  await expect(page).toHaveURL(new RegExp(`a=${SLOWER}`));
  await expect(table.getByRole('row').filter({ hasText: 'ledger insert' })).toContainText('removed');
});

test('pages of traces fit a phone', async ({ page }) => {
  await mockTraces(page);
  await page.setViewportSize({ width: 390, height: 844 });
  for (const path of [at(SHOP), at(SHOP, { view: 'stats' }), `/ui/traces/compare?a=${SHOP}&b=${SLOWER}`]) {
    await page.goto(path);
    await expect(page.locator('main .panel').first()).toBeVisible();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide, `${path} scrolls sideways as a whole`).toBeLessThanOrEqual(390);
  }
});

test.describe('two hundred thousand spans', () => {
  let server: Server;
  let url = '';
  test.beforeAll(async () => ({ server, url } = await serveLarge()));
  test.afterAll(() => server.close());

  test('open, are drawn, and every one of them is within reach', async ({ page }) => {
    test.setTimeout(240_000);
    await mockTraces(page);
    await mockLarge(page, url);
    await page.goto(at(LARGE));
    await expect(page.getByRole('group', { name: `Waterfall of ${MANY} spans over 1m` })).toBeVisible({
      timeout: 120_000,
    });
    await expect.poll(() => inkOf(page, '.waterfallCanvas')).toBeGreaterThan(2);
    // No element stands for a span.
    expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(1500);

    await waterfall(page).focus();
    await page.keyboard.press('End');
    await expect(detail(page)).toContainText(/level \d kind \d/);
    const scrolled = await waterfall(page).evaluate((element) => element.scrollTop);
    expect(scrolled).toBeGreaterThan(4e6);
    await expect.poll(() => inkOf(page, '.waterfallCanvas')).toBeGreaterThan(2);

    await page.keyboard.press('[');
    await expect(page).toHaveURL(/depth=0/);
    await page.getByRole('textbox', { name: 'Find spans' }).fill('the very last');
    await expect(page.getByRole('status').filter({ hasText: /^1 match/ })).toBeVisible();
    await page.keyboard.press('Enter');
    await expect(detail(page)).toContainText('the very last');
    await expect(detail(page)).toContainText(`/items/${MANY - 1}`);
    await expect(page).toHaveURL(/fold=/);
    await page.getByRole('textbox', { name: 'Find spans' }).fill('error');
    await expect(page.getByRole('status').filter({ hasText: /200 match/ })).toBeVisible();

    await page.getByRole('button', { name: 'Flame graph' }).click();
    await expect(page.getByRole('group', { name: /^Flame graph\. .* paths of 200.000 spans/ })).toBeVisible();
    await expect.poll(() => inkOf(page, '.flameCanvas')).toBeGreaterThan(2);
    await page.getByRole('button', { name: 'Statistics' }).click();
    const kinds = page.getByRole('table', { name: 'Statistics' });
    await page.getByRole('button', { name: 'Service', exact: true }).click();
    await expect(kinds.getByRole('row')).toHaveCount(4);
    await expect(kinds).toContainText(/66.667/);
    await page.getByRole('button', { name: 'Table', exact: true }).click();
    await page.getByRole('button', { name: 'Unfold all' }).click();
    await expect(page.getByRole('table', { name: 'Spans' })).toHaveAttribute('aria-rowcount', `${MANY + 1}`);
    expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(2500);
  });
});
