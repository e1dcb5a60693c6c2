/** The trace search in every state, light and dark, and what can be done on it. */
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { coverageAnswer } from './mesh';
import { expect, expectAccessible, test } from './node';
import { mockSpans, TOTAL } from './spans';

const editor = (page: Page) => page.getByRole('textbox', { name: 'TraceQL query' });
const results = (page: Page) => page.getByRole('region', { name: 'Traces found' });
const map = (page: Page) => page.getByRole('group', { name: /^Durations over time/ });
/** With `ORRERY_SHOTS=dir` every state is kept as a picture there. */
const shots = process.env.ORRERY_SHOTS;

async function look(page: Page, scheme: string, name: string): Promise<void> {
  if (shots) await page.screenshot({ path: `${shots}/traces-${name}-${scheme}.png` });
  await expectAccessible(page);
}

/** Draws a rectangle over a part of the heat map, given as shares of its plot. */
async function draw(page: Page, left: number, top: number, right: number, bottom: number): Promise<void> {
  const box = await map(page).locator('canvas').boundingBox();
  if (!box) throw new Error('the heat map has no box');
  const x = (share: number) => box.x + 58 + share * (box.width - 68);
  const y = (share: number) => box.y + 8 + share * (box.height - 34);
  await page.mouse.move(x(left), y(top));
  await page.mouse.down();
  await page.mouse.move(x(right), y(bottom), { steps: 6 });
  await page.mouse.up();
}

for (const scheme of ['light', 'dark'] as const) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test('rate, errors, durations and the newest traces stand together', async ({ page }) => {
      await mockSpans(page);
      await page.goto('/ui/traces');
      await expect(results(page).getByRole('link').first()).toContainText(/spans/);
      await expect(page.getByRole('region', { name: 'Rate' })).toContainText(`${TOTAL} spans`);
      await expect(page.getByRole('region', { name: 'Errors' })).toContainText(/\d %/);
      await expect(map(page)).toBeVisible();
      await look(page, scheme, 'search');
    });

    test('an area of the heat map is listed and compared with the rest', async ({ page }) => {
      const { asked } = await mockSpans(page);
      await page.goto('/ui/traces');
      await expect(map(page)).toBeVisible();
      await draw(page, 0.4, 0, 0.7, 0.25);
      await expect(page).toHaveURL(/sel=\d+,\d+,\d+,/);
      const differs = page.getByRole('complementary', { name: 'What differs' });
      await expect(differs.getByText('span.region', { exact: true })).toBeVisible();
      await expect(differs.getByRole('button', { name: 'Only span.region = eu' })).toBeVisible();
      expect(asked.some(({ q }) => /\| compare\(\{ duration > \d+ns \}, 10, \d{19}, \d{19}\)/.test(q))).toBe(true);
      await expect(results(page)).toContainText('of the selection');
      await look(page, scheme, 'selected');
      await differs.getByRole('button', { name: 'Only span.region = eu' }).click();
      await expect(editor(page)).toHaveText('{ span.region = "eu" }');
      await expect(page).not.toHaveURL(/sel=/);
    });

    test('points and values are other pictures of the same', async ({ page }) => {
      await mockSpans(page);
      await page.goto('/ui/traces?head=scatter');
      await expect(page.getByRole('img', { name: /Trace durations over time/ })).toBeVisible();
      await look(page, scheme, 'points');
      await page.getByRole('button', { name: 'Values' }).click();
      await expect(page.getByRole('table', { name: 'Durations, values' }).getByRole('row').nth(1)).toBeVisible();
      await look(page, scheme, 'values');
    });

    test('where a cluster is missing, pictures are hatched and it is named', async ({ page }) => {
      await mockSpans(page, { coverage: (from, to) => coverageAnswer('traces', from, to) });
      await page.goto('/ui/traces');
      await expect(page.getByRole('list', { name: 'Not in this picture' })).toContainText('dev-01 missing');
      await expect(page.getByRole('button', { name: 'Coverage: Missing' })).toBeVisible();
      await expect(results(page).getByRole('link').first()).toBeVisible();
      await look(page, scheme, 'hatched');
    });

    test('no traces says why and what to do', async ({ page }) => {
      await mockSpans(page, { empty: true });
      await page.goto('/ui/traces');
      await expect(page.getByRole('heading', { name: 'No trace matches' })).toBeVisible();
      await expect(page.getByText('/v1/traces')).toBeVisible();
      await look(page, scheme, 'empty');
    });

    test('a refusal says where', async ({ page }) => {
      await mockSpans(page);
      await page.route(/\/api\/(search\?|metrics\/query_range)/, (route) =>
        route.fulfill({
          status: 400,
          body: 'invalid TraceQL query: parse error at line 1, col 12: syntax error: unexpected }',
        }),
      );
      await page.goto('/ui/traces?q=%7B status = %7D');
      await expect(page.getByRole('alert').first()).toContainText('unexpected }');
      await look(page, scheme, 'refused');
    });

    test('a metrics query is a graph', async ({ page }) => {
      await mockSpans(page);
      await page.goto(`/ui/traces?q=${encodeURIComponent('{} | rate() by (status)')}`);
      await expect(page.getByRole('group', { name: /2 series/ })).toBeVisible();
      await look(page, scheme, 'metric');
    });
  });
}

test('the form writes TraceQL, and what it cannot hold is left alone', async ({ page }) => {
  const { asked } = await mockSpans(page);
  await page.goto('/ui/traces');
  const form = page.getByRole('form', { name: 'Search traces' });
  await form.getByLabel('Service').fill('checkout');
  await form.getByLabel('Status').selectOption('error');
  await form.getByLabel('Min duration').fill('1s');
  await form.getByLabel('Tags').fill('region=eu http.status_code>=500');
  await page.keyboard.press('Enter');
  const written =
    '{ resource.service.name = "checkout" && status = error && duration >= 1s && .region = "eu" && .http.status_code >= 500 }';
  await expect(editor(page)).toHaveText(written);
  await expect.poll(() => asked.filter(({ path, q }) => path === 'search' && q === written).length).toBeGreaterThan(0);
  await page.reload();
  await expect(form.getByLabel('Service')).toHaveValue('checkout');
  await expect(form.getByLabel('Tags')).toHaveValue('region=eu http.status_code>=500');
  await form.getByLabel('Max duration').fill('5');
  await expect(page.getByRole('alert')).toContainText('Durations have a unit');
  await page.goto(`/ui/traces?q=${encodeURIComponent('{ kind = server } >> { status = error }')}`);
  await expect(page.getByText('says more than the form can hold')).toBeVisible();
});

test('an address of before still opens', async ({ page }) => {
  await mockSpans(page);
  await page.goto('/ui/traces?service=checkout&min=10ms&tags=error%3Dtrue');
  await expect(editor(page)).toHaveText('{ resource.service.name = "checkout" && duration >= 10ms && status = error }');
});

test('the list is read slice by slice to the end, each trace once and newest first', async ({ page }) => {
  const { traces, asked } = await mockSpans(page);
  await page.goto('/ui/traces');
  await expect(results(page)).toContainText('100traces');
  for (let i = 0; i < 9; i += 1) {
    await page.getByRole('region', { name: 'List of traces' }).evaluate((list) => list.scrollTo(0, list.scrollHeight));
    const more = page.getByRole('button', { name: 'Load 100 more' });
    if (await more.isVisible()) await more.click();
  }
  await expect(page.getByText('No older traces in this range.')).toBeVisible();
  await expect(page).toHaveURL(/limit=\d{3,4}/);
  const arrived = page.waitForEvent('download');
  await results(page).getByRole('button', { name: 'CSV' }).click();
  const rows = readFileSync(await (await arrived).path(), 'utf8')
    .split('\r\n')
    .slice(1);
  expect(rows.map((row) => row.split(',')[1])).toEqual(traces.map((one) => one.id));
  expect(asked.filter(({ path }) => path === 'search').length).toBeGreaterThan(4);
});

test('a slow search says how far back it is', async ({ page }) => {
  await mockSpans(page, { delayMs: 700 });
  await page.goto(`/ui/traces?q=${encodeURIComponent('{ status = error }')}`);
  await expect(results(page).getByRole('status').filter({ hasText: 'searched back to' })).toBeVisible();
  await expect(page.getByText('No older traces in this range.')).toBeVisible();
});

test('cells are selected by keys', async ({ page }) => {
  await mockSpans(page);
  await page.goto('/ui/traces');
  await map(page).focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/sel=/);
  const first = page.url();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Shift+Enter');
  await expect(page).not.toHaveURL(first);
  await page.keyboard.press('Escape');
  await expect(page).not.toHaveURL(/sel=/);
});

test('completion knows attributes, values and stages', async ({ page }) => {
  await mockSpans(page);
  await page.goto('/ui/traces');
  await expect(editor(page)).toBeVisible();
  await editor(page).fill('');
  await editor(page).pressSequentially('{ resource.serv', { delay: 30 });
  await expect(page.locator('.cm-tooltip-autocomplete li').first()).toHaveText(/resource\.service\.name/);
  await page.locator('.cm-tooltip-autocomplete li').first().click();
  await editor(page).pressSequentially(' = "pay', { delay: 30 });
  await expect(page.locator('.cm-tooltip-autocomplete li').first()).toHaveText(/payment/);
  await page.locator('.cm-tooltip-autocomplete li').first().click();
  await expect(editor(page)).toHaveText(/\{ resource\.service\.name = "payment"/);
});

test('the scope is inside of every filter', async ({ page }) => {
  const { asked } = await mockSpans(page);
  await page.goto(`/ui/traces?scope=cluster%3Ddev-01&q=${encodeURIComponent('{} >> { status = error }')}`);
  await expect
    .poll(() => asked.map(({ q }) => q))
    .toContain(
      '{ resource.k8s.cluster.name = "dev-01" } >> { resource.k8s.cluster.name = "dev-01" && ( status = error )}',
    );
});

test('the page fits a phone', async ({ page }) => {
  await mockSpans(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto('/ui/traces');
  await expect(results(page).getByRole('link').first()).toBeAttached();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  if (shots) await page.screenshot({ path: `${shots}/traces-phone.png` });
  await expectAccessible(page);
});
