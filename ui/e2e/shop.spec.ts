/** Real services, and the way through their signals as a person goes it: map, service, trace, lines, trace, metrics. */
import type { Page } from '@playwright/test';
import { expect, test } from './node';
import { missing, Shop } from './shop';

/** With `ORRERY_SHOTS=dir` every step is kept as a picture there. */
async function look(page: Page, step: string): Promise<void> {
  const dir = process.env.ORRERY_SHOTS;
  if (dir) await page.screenshot({ path: `${dir}/shop-${step}.png` });
}

test.describe('three services under auto-instrumentation', () => {
  const lacks = missing();
  if (lacks && process.env.ORRERY_PEERS === 'required') throw new Error(lacks);
  test.skip(lacks !== null, lacks ?? '');

  let shop: Shop;
  test.beforeAll(async () => {
    test.setTimeout(120_000);
    shop = await Shop.open();
  });
  test.afterAll(async () => {
    await shop.close();
  });

  test('are on the map, and each signal leads to the others', async ({ page }) => {
    test.setTimeout(180_000);
    const calls = 'rate(traces_service_graph_request_total{connection_type=""}[2m]) > 0';
    await expect.poll(() => shop.count(calls), { timeout: 120_000 }).toBe(2);

    await page.goto(`${shop.url}/ui/topology`);
    const map = page.getByRole('region', { name: 'Service map' });
    for (const name of ['web', 'orders', 'stock']) await expect(map.getByText(name, { exact: true })).toBeVisible();
    await look(page, 'map');
    await map.getByText('orders', { exact: true }).click();
    await expect(page).toHaveURL(/\/ui\/services\/orders/);

    const operations = page.getByRole('table', { name: 'Operations' });
    await expect(operations.getByRole('row').nth(1)).toContainText('GET /articles/<int:number>');
    await expect(page.getByRole('region', { name: 'Called by', exact: true })).toContainText('web');
    await expect(page.getByRole('region', { name: 'Calls', exact: true })).toContainText('stock');
    await look(page, 'service');
    await page.getByRole('region', { name: 'Failed traces' }).getByRole('link').nth(1).click();

    await expect(page).toHaveURL(/\/ui\/trace\/[0-9a-f]{32}/);
    const trace = /trace\/([0-9a-f]{32})/.exec(page.url())?.[1] ?? '';
    await expect(page.getByRole('group', { name: /^Waterfall of 5 spans over/ })).toBeVisible();
    await page.getByRole('group', { name: /^Waterfall of/ }).focus();
    await page.keyboard.press('End');
    const span = page.getByRole('complementary', { name: 'Span' });
    await expect(span).toContainText('stock');
    const places = page.getByRole('navigation', { name: 'Logs and metrics of this span' });
    await look(page, 'trace');
    await places.getByRole('link', { name: /^Logs of this span 2/ }).click();

    await expect(page).toHaveURL(/\/ui\/logs\?.*span_id/);
    await expect(page.getByText(/article \d+ is out of stock/).first()).toBeVisible();
    await expect(page.getByText(/stock is asked for article/).first()).toBeVisible();
    await page
      .getByText(/article \d+ is out of stock/)
      .first()
      .click();
    await look(page, 'lines');
    await page
      .getByRole('link', { name: new RegExp(trace.slice(0, 8)) })
      .first()
      .click();

    await expect(page).toHaveURL(new RegExp(`/ui/trace/${trace}`));
    await page.getByRole('group', { name: /^Waterfall of/ }).focus();
    await page.keyboard.press('End');
    await places.getByRole('link', { name: 'Metrics of its pod' }).click();
    await expect(page).toHaveURL(/\/ui\/metrics.*stock-0/);
    await expect(page.getByText(/^http_server_/).first()).toBeVisible();
    await look(page, 'metrics');
  });
});
