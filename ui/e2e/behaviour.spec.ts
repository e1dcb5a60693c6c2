/** What the pages do: the address, the back button, errors, partial answers, filters, paging. */
import type { Page } from '@playwright/test';
import { address, expect, expectAccessible, test } from './node';

const query = (page: Page, name: string) => page.getByRole('textbox', { name });

test('a query that is typed and run is in the address and survives a reload', async ({ page, seed }) => {
  await page.goto(address('/metrics'));
  await query(page, 'PromQL query A').fill(`count(${seed.metric})`);
  await page.keyboard.press('Control+Enter');
  await expect(page.getByRole('region', { name: 'Query A' })).toContainText('1 series');
  await expect(page).toHaveURL(new RegExp(`q=count%28${seed.metric}%29`));
  await page.getByRole('group', { name: 'Show query A as' }).getByRole('button', { name: 'Table' }).click();
  await expect(page).toHaveURL(/tabs=t/);
  const before = page.url();
  await page.reload();
  await expect(page.getByRole('table', { name: /at one instant/ })).toBeVisible();
  await expect(query(page, 'PromQL query A')).toHaveText(`count(${seed.metric})`);
  expect(page.url()).toBe(before);
});

test('dragging over a chart zooms and the back button undoes it', async ({ page, seed }) => {
  await page.goto(address('/metrics', { q: `count(${seed.metric})` }));
  const plot = page.locator('.timeChart .u-over').first();
  await expect(plot).toBeVisible();
  const box = await plot.boundingBox();
  if (!box) throw new Error('the chart has no box');
  await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await expect(page).toHaveURL(/from=\d{13}/);
  await page.goBack();
  await expect(page).toHaveURL(/from=now-6h/);
});

test('a relative range stays relative until it is frozen', async ({ page }) => {
  await page.goto('/ui/?from=now-3h');
  await expect(page.getByRole('button', { name: 'Time range: Last 3 hours' })).toBeVisible();
  await page.getByRole('button', { name: 'Refresh now' }).click();
  await expect(page).toHaveURL(/from=now-3h/);
  await page.getByRole('button', { name: 'Time range: Last 3 hours' }).click();
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Freeze' }).click();
  await expect(page).toHaveURL(/from=\d{13}&to=\d{13}/);
});

test('a typed range is checked before it is used', async ({ page }) => {
  await page.goto('/ui/');
  await expect(page.getByRole('heading', { level: 1, name: 'Fleet' })).toBeVisible();
  await page.keyboard.press('t');
  await page.keyboard.press('r');
  await page.getByLabel('From', { exact: true }).fill('now-1x');
  await expect(page.getByText(/Not a range/)).toBeVisible();
  await expect(page.getByRole('button', { name: 'Apply' })).toBeDisabled();
  await page.getByLabel('From', { exact: true }).fill('now-2d/d');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/from=now-2d\/d/);
});

test('a refused query shows the words of the server', async ({ page }) => {
  await page.goto(address('/metrics', { q: 'sum(rate(up[5m])' }));
  const alert = page.getByRole('region', { name: 'Query A' }).getByRole('alert');
  await expect(alert).toContainText(/\w+/);
  await page.goto(address('/logs', { q: '{a="b"} | nonsense ~ 5' }));
  await expect(page.getByRole('alert').first()).toContainText(/\w+/);
});

test('a missing cluster is named in a banner and in the badge', async ({ page, seed }) => {
  await page.route('**/api/v1/query_range*', async (route) => {
    const response = await route.fetch();
    const body = (await response.json()) as Record<string, unknown>;
    body.coverage = [
      {
        cluster: 'prod-02',
        replica: 'a',
        signal: 'metrics',
        state: 'missing',
        covered: [],
        watermark: null,
        reason: 'connection refused',
      },
    ];
    await route.fulfill({ response, json: body });
  });
  await page.goto(address('/metrics', { q: seed.metric }));
  await expect(
    page.getByRole('status').filter({ hasText: 'prod-02/a metrics missing (connection refused)' }),
  ).toBeVisible();
  const badge = page.getByRole('button', { name: 'Coverage: Missing' });
  await badge.click();
  await expect(page.getByRole('cell', { name: 'prod-02/a' })).toBeVisible();
  await expectAccessible(page);
});

test('a tenant goes into the address and into the header', async ({ page }) => {
  await page.goto('/ui/');
  await page.getByRole('button', { name: /^Tenant: / }).click();
  await page.getByLabel('Another tenant').fill('e2e-none');
  const asked = page.waitForRequest(
    (request) => request.url().includes('/api/v1/orrery/fleet') && request.headers()['x-scope-orgid'] === 'e2e-none',
  );
  await page.getByRole('button', { name: 'Use' }).click();
  await asked;
  await expect(page).toHaveURL(/tenant=e2e-none/);
});

test('completion offers the metrics of the node', async ({ page, seed }) => {
  await page.goto(address('/metrics'));
  await query(page, 'PromQL query A').pressSequentially(seed.metric.slice(0, 6), { delay: 40 });
  await expect(page.locator('.cm-tooltip-autocomplete li').first()).toBeVisible();
});

test('the metric browser filters and makes a query', async ({ page, seed }) => {
  await page.goto(address('/metrics'));
  await page.getByRole('combobox', { name: 'Find a metric' }).fill(seed.metric);
  await expect(page.getByRole('option').first()).toContainText(seed.metric);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`q=[^&]*${seed.metric}`));
  await expect(page.getByRole('region', { name: 'Query A' })).toContainText(/series/);
});

test('a log line opens to its fields, and a field becomes a filter', async ({ page, seed }) => {
  await page.goto(address('/logs'));
  const first = page.getByRole('log').getByRole('button').first();
  await first.click();
  await expect(page).toHaveURL(/line=\d+-/);
  await expectAccessible(page);
  await page
    .getByRole('log')
    .getByRole('button', { name: new RegExp(`^Only ${seed.logLabel} = `) })
    .first()
    .click();
  await expect(page).toHaveURL(new RegExp(`q=%7B${seed.logLabel}%3D%22`));
  await expect(page.getByRole('log').getByRole('button').first()).toBeVisible();
  await page.goBack();
  await expect(page).not.toHaveURL(/q=/);
});

test('scrolling loads older lines, each once', async ({ page }) => {
  const pages: string[] = [];
  page.on('request', (request) => {
    if (request.url().includes('direction=backward')) pages.push(new URL(request.url()).searchParams.get('end') ?? '');
  });
  await page.goto(address('/logs'));
  const list = page.getByRole('log');
  await expect(list.getByRole('button').first()).toBeVisible();
  const head = page.getByRole('region', { name: 'Histogram' });
  const total = Number(((await head.textContent()) ?? '').replace(/\u202f/g, '').match(/^(\d+)/)?.[1] ?? 0);
  test.skip(total < 250, `only ${total} lines in the range: nothing to page`);
  await expect
    .poll(async () => {
      await list.evaluate((element) => element.scrollTo(0, element.scrollHeight));
      return new Set(pages).size;
    })
    .toBeGreaterThan(1);
  expect(new Set(pages).size).toBe(pages.length);
});

test('a refresh does not pull the list away from under a reader', async ({ page }) => {
  await page.goto(address('/logs'));
  const list = page.getByRole('log');
  const first = list.getByRole('button').first();
  await first.click();
  await expect(page).toHaveURL(/line=/);
  await page.getByRole('button', { name: 'Refresh now' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'waits while you read' })).toBeVisible();
  await page.getByRole('button', { name: 'Newest lines' }).click();
  await expect(page).not.toHaveURL(/line=/);
  await expect(page.getByText('waits while you read')).toBeHidden();
});

test('a search leads to a trace, its span, and the logs of it', async ({ page, seed }) => {
  await page.goto(address('/traces'));
  await page.getByLabel('Service', { exact: true }).fill(seed.service);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('textbox', { name: 'TraceQL query' })).toHaveText(
    `{ resource.service.name = "${seed.service}" }`,
  );
  await expect(page).toHaveURL(/[?&]q=/);
  await page.getByRole('region', { name: 'Traces found' }).getByRole('link').first().click();
  const waterfall = page.getByRole('group', { name: /^Waterfall/ });
  await waterfall.focus();
  await page.keyboard.press('ArrowDown');
  await expect(page).toHaveURL(/span=/);
  const span = page.getByRole('complementary', { name: 'Span' });
  await expect(span).toContainText('Duration');
  await expectAccessible(page);
  await page.keyboard.press('w');
  await expect(page).toHaveURL(/zoom=\d+,\d+/);
  await page.goBack();
  await expect(page).not.toHaveURL(/zoom=/);
  await page.getByRole('link', { name: 'Logs of this trace' }).click();
  await expect(page).toHaveURL(/\/ui\/logs\?.*trace_id/);
});
