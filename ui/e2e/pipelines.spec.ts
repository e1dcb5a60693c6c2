/** The pipelines page: one sentence, the flow, ledgers in words, live plots, many sources, and a node that sends nothing. */
import { mockPipelines, QUIET, source, TROUBLE } from './pipes';
import { expect, expectAccessible, test } from './node';

for (const scheme of ['light', 'dark'] as const) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test('nothing wrong is one sentence', async ({ page }) => {
      await mockPipelines(page, QUIET);
      await page.goto('/ui/pipelines');
      await expect(page.getByRole('heading', { level: 1, name: 'Pipelines' })).toBeVisible();
      await expect(page.getByRole('region', { name: 'How it is' }).getByRole('heading')).toHaveText(
        'Both destinations are up, nothing was dropped or refused, and the ledgers agree.',
      );
      await expect(page.getByRole('region', { name: /^Destination / })).toHaveCount(2);
      await expect(page.getByRole('region', { name: 'Sources', exact: true })).toHaveCount(0);
      await expectAccessible(page);
    });

    test('what is wrong stands worst first, with what it means and what to do', async ({ page }) => {
      await mockPipelines(page, TROUBLE);
      await page.goto('/ui/pipelines');
      const top = page.getByRole('region', { name: 'How it is' });
      await expect(top.getByRole('heading')).toHaveText(
        'audit, logs: the receiver has 12 items fewer than it acknowledged.',
      );
      await expect(top).toContainText('put back from a backup');
      const rest = top.getByRole('listitem');
      await expect(rest.first()).toContainText(/long-term, metrics: [1-9]\S* items were dropped in the last minute/);
      await expect(rest.nth(1)).toContainText('long-term is down: it has taken nothing for 30m');
      await expect(top).toContainText(/refused \d+ items of edge-08 in the last minute \(too_old\)/);
      await expect(top).toContainText('Nothing came from edge-09');
      await expect(top).toContainText('address 2 of 2');

      const hub = page.getByRole('region', { name: 'Destination hub' });
      await expect(hub).toContainText('https://hub-b.example.com:4317');
      await expect(hub).not.toContainText('secret');
      await expect(hub).toContainText('deadline exceeded');
      const row = page.getByRole('table', { name: 'Ledger of hub' }).getByRole('row').filter({ hasText: 'metrics' });
      await expect(row).toContainText('Under way');
      // 3000 items less every two seconds.
      await expect(row).toContainText('1.5 k/s');
      await expect(row).toContainText(/draining, empty in \d+s/, { timeout: 25_000 });
      const gone = page.getByRole('table', { name: 'Ledger of long-term' }).getByRole('row').nth(1);
      await expect(gone).toContainText('queue_full');
      await expect(gone.getByRole('img', { name: /^9\d(\.\d)? % of the room/ })).toBeVisible();
      await expect(page.getByRole('region', { name: 'Destination long-term' })).toContainText('more room');
      await expect(page.getByRole('table', { name: 'Destinations no longer configured' })).toContainText(
        'destination_removed',
      );
      await expectAccessible(page);
    });
  });
}

test('the picture leads to a destination, and a fold is in the address', async ({ page }) => {
  await mockPipelines(page, TROUBLE);
  await page.goto('/ui/pipelines');
  const card = page.getByRole('region', { name: 'Destination hub' });
  await card.getByRole('button', { name: 'Fold hub' }).click();
  await expect(page).toHaveURL(/open=hub/);
  await expect(page.getByRole('table', { name: 'Ledger of hub' })).toHaveCount(0);
  const flow = page.getByRole('region', { name: 'From sources through this node to destinations' });
  await flow.getByRole('button', { name: 'hub' }).click();
  await expect(page.getByRole('table', { name: 'Ledger of hub' })).toBeVisible();
  await expect(card).toBeFocused();
});

test('it asks again by itself, and pauses', async ({ page }) => {
  const mock = await mockPipelines(page, TROUBLE);
  await page.goto('/ui/pipelines');
  await expect.poll(mock.polls).toBeGreaterThan(2);
  await page.getByRole('button', { name: 'Pause' }).click();
  await expect(page.getByRole('region', { name: 'How it is' })).toContainText('Paused');
  // One may be under way.
  const asked = mock.polls();
  await page.waitForTimeout(5000);
  expect(mock.polls()).toBeLessThanOrEqual(asked + 1);
  await page.getByRole('button', { name: 'Go on' }).click();
  await expect.poll(mock.polls).toBeGreaterThan(asked + 1);
});

test('nothing is asked for while nobody looks', async ({ page }) => {
  const mock = await mockPipelines(page, QUIET);
  await page.goto('/ui/pipelines');
  await expect.poll(mock.polls).toBeGreaterThan(1);
  const show = (state: string) =>
    page.evaluate((value) => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
      document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
    }, state);
  await show('hidden');
  const asked = mock.polls();
  await page.waitForTimeout(6000);
  expect(mock.polls()).toBeLessThanOrEqual(asked + 1);
  await show('visible');
  await expect.poll(mock.polls).toBeGreaterThan(asked + 1);
});

test('plots have their values as tables', async ({ page }) => {
  const mock = await mockPipelines(page, TROUBLE);
  await page.goto('/ui/pipelines');
  await expect.poll(mock.polls).toBeGreaterThan(3);
  const hub = page.getByRole('region', { name: 'Destination hub' });
  await expect(hub.getByRole('group', { name: /hub, Lag/ })).toBeVisible();
  await page.getByRole('button', { name: 'Values of the plots of hub' }).click();
  await expect(page).toHaveURL(/values=on/);
  const values = page.getByRole('table', { name: 'hub, Acknowledged per second, values' });
  await expect(values.getByRole('row').nth(1)).toContainText('/s');
  await expectAccessible(page);
});

test('a thousand sources are a list that can be filtered, with those in trouble first', async ({ page }) => {
  await mockPipelines(page, (poll, nowMs) => ({
    sources: Array.from({ length: 1024 }, (_, i) =>
      source(i, nowMs, i === 700 ? { refused: { series_limit: poll } } : i === 900 ? { last_ms: nowMs - 900_000 } : {}),
    ),
  }));
  await page.goto('/ui/pipelines');
  const table = page.getByRole('table', { name: 'Sources' });
  await expect(table).toHaveAttribute('aria-rowcount', '1025');
  await expect(table.getByRole('row').nth(1)).toContainText('leaf-0700');
  await expect(table.getByRole('row').nth(1)).toContainText('refused now');
  await expect(table.getByRole('row').nth(2)).toContainText('leaf-0900');
  expect(await table.getByRole('row').count()).toBeLessThan(60);
  await page.keyboard.press('/');
  await expect(page.getByRole('searchbox', { name: 'Find a source' })).toBeFocused();
  await page.keyboard.type('leaf-0042');
  await expect(page).toHaveURL(/find=leaf-0042/);
  await expect(page.getByRole('region', { name: 'Sources', exact: true })).toContainText('1 of 1\u202f024');
  await expectAccessible(page);
});

test('a node that sends nothing onward says how to', async ({ page }) => {
  await mockPipelines(page, () => ({}));
  await page.goto('/ui/pipelines');
  await expect(page.getByRole('region', { name: 'How it is' })).toContainText('Nothing is sent onward');
  await expect(page.getByRole('region', { name: 'No destinations' })).toContainText('forward:');
  await expectAccessible(page);
});

test('a hub shows who sends, and how it would send only when asked', async ({ page }) => {
  await mockPipelines(page, (_, nowMs) => ({ sources: [source(1, nowMs), source(2, nowMs)] }));
  await page.goto('/ui/pipelines');
  await expect(page.getByRole('region', { name: 'How it is' })).toContainText('2 clusters send here');
  const how = page.getByRole('region', { name: 'No destinations' });
  await expect(how.getByText('forward:')).toBeHidden();
  await how.getByText('This node sends nothing onward').click();
  await expect(how.getByText('forward:')).toBeVisible();
  await expectAccessible(page);
});

test('an older node, and one that is away', async ({ page }) => {
  let status = 404;
  await page.route(/\/api\/v1\/orrery\/pipelines/, (route) =>
    route.fulfill({ status, json: { error: status === 404 ? 'there is nothing here' : 'the disk is gone' } }),
  );
  await page.goto('/ui/pipelines');
  await expect(page.getByRole('heading', { name: 'This node knows no pipelines' })).toBeVisible();
  status = 400;
  await page.reload();
  await expect(page.getByRole('alert')).toContainText('the disk is gone');
  await page.unroute(/\/api\/v1\/orrery\/pipelines/);
  await mockPipelines(page, QUIET);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('region', { name: 'How it is' })).toContainText('Both destinations are up');
});

test('it fits a phone', async ({ page }) => {
  await mockPipelines(page, TROUBLE);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto('/ui/pipelines');
  await expect(page.getByRole('region', { name: 'Destination hub' })).toBeVisible();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide, 'scrolls sideways as a whole').toBeLessThanOrEqual(390);
  await expectAccessible(page);
});
