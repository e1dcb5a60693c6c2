/** A node with peers: the fleet by cluster, links, coverage, hatches, the scope, and a trace over many clusters. */
import type { Request } from '@playwright/test';
import { coverageAnswer, mockMesh } from './mesh';
import { expect, expectAccessible, test } from './node';

for (const scheme of ['light', 'dark'] as const) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test('the fleet has a row per cluster with the worst first, and its replicas fold out', async ({ page }) => {
      await mockMesh(page, { coverage: coverageAnswer });
      await page.goto('/ui/');
      const clusters = page.getByRole('list', { name: 'Clusters, the worst first' }).getByRole('listitem');
      await expect(clusters).toHaveCount(4);
      await expect(clusters.first()).toContainText('dev-01');
      await expect(clusters.first()).toContainText('not reached');
      await expect(clusters.last()).toContainText('ops-01');
      await expect(page.getByRole('region', { name: /^Node / })).toHaveCount(0);
      await page.getByRole('button', { name: 'Unfold prod-01' }).click();
      await expect(page.getByRole('region', { name: /^Node prod-01\// })).toHaveCount(2);
      await expect(page).toHaveURL(/open=prod-01/);
      await expectAccessible(page);
    });

    test('the federation shows links, certificates and who was missing', async ({ page }) => {
      await mockMesh(page);
      await page.goto('/ui/federation');
      const peers = page.getByRole('table', { name: 'Peers' });
      const first = peers.getByRole('row').nth(1);
      await expect(first).toContainText('dev-01');
      await expect(first).toContainText('Left alone');
      await expect(peers.getByRole('row').filter({ hasText: 'edge-07' })).toContainText('5 days left');
      await expect(peers.getByRole('row').filter({ hasText: 'prod-01/a' })).toContainText('21 days left');
      await first.getByRole('button', { name: 'dev-01' }).click();
      await expect(page).toHaveURL(/peer=dev-01/);
      await expect(page.getByRole('region', { name: 'Peer dev-01' })).toContainText('no answer within 10 s');
      await expect(
        page.getByRole('table', { name: 'Recent answers that were not whole' }).getByRole('row').nth(1),
      ).toContainText('dev-01');
      await page.getByRole('button', { name: /^Only trouble/ }).click();
      await expect(peers.getByRole('row')).toHaveCount(4);
      await expectAccessible(page);
    });

    test('a node without peers says how to add one', async ({ page }) => {
      await mockMesh(page, { federation: () => ({ cluster: 'dev-01', replica: null, peers: [], recent: [] }) });
      await page.goto('/ui/federation');
      await expect(page.getByRole('region', { name: 'No peers' })).toContainText('peers:');
      await expectAccessible(page);
    });

    test('a graph hatches and names what it lacks, and so does its table', async ({ page }) => {
      await mockMesh(page, { coverage: coverageAnswer });
      await page.goto('/ui/metrics?q=up&browse=off');
      const query = page.getByRole('region', { name: 'Query A' });
      const lacking = query.getByRole('list', { name: 'Not in this picture' });
      await expect(lacking.getByRole('listitem')).toHaveCount(3);
      await expect(lacking).toContainText('dev-01 missing: the whole range');
      await expect(
        query.getByRole('group', { name: /Not everything is here: dev-01 is missing over the whole range/ }),
      ).toBeVisible();
      await expectAccessible(page);
      await query.getByRole('button', { name: 'Values', exact: true }).click();
      const table = query.getByRole('table', { name: /values/ });
      await expect(table.getByRole('columnheader', { name: 'Not in it' })).toBeVisible();
      await expect(table.getByRole('row').nth(1)).toContainText('dev-01, edge-07 late');
    });

    test('the badge says who, how much, and what to do, and leads to the peer', async ({ page }) => {
      await mockMesh(page, { coverage: coverageAnswer });
      await page.goto('/ui/logs');
      await expect(page.getByRole('list', { name: 'Not in this picture' })).toContainText('edge-07 late');
      await page.getByRole('button', { name: 'Coverage: Missing' }).click();
      const row = page.getByRole('row').filter({ hasText: 'edge-07' });
      await expect(row).toContainText('late');
      await expect(row.getByRole('img', { name: /^8[78] % of the range/ })).toBeVisible();
      await expect(page.getByRole('row').filter({ hasText: 'dev-01' })).toContainText('does not answer in time');
      await expectAccessible(page);
      await page.getByRole('link', { name: 'dev-01' }).click();
      await expect(page).toHaveURL(/\/ui\/federation\?.*peer=dev-01/);
    });

    test('a trace over many clusters has a lane for each and a gap for one that is missing', async ({ page }) => {
      await mockMesh(page, { coverage: coverageAnswer });
      await page.goto('/ui/trace/0af7651916cd43dd8448eb211c80319c');
      const lanes = page.getByRole('region', { name: 'Clusters of this trace' });
      await expect(lanes.getByRole('listitem')).toHaveCount(5);
      await expect(lanes.getByRole('listitem').filter({ hasText: 'dev-01' })).toContainText('spans may be missing');
      await page.getByRole('button', { name: 'By cluster' }).click();
      await expect(page).toHaveURL(/by=cluster/);
      await lanes.getByRole('button', { name: 'edge-07' }).click();
      await expect(page.getByRole('status').filter({ hasText: '3 match' })).toBeVisible();
      await expectAccessible(page);
      await page.getByRole('button', { name: 'Table', exact: true }).click();
      await expect(page.getByRole('table', { name: 'Spans' })).toContainText('edge-07');
    });
  });
}

test('a scope goes into the address and into every question, and one click clears it', async ({ page }) => {
  await mockMesh(page);
  const asked: Request[] = [];
  page.on('request', (request) => asked.push(request));
  await page.goto('/ui/metrics?q=sum(rate(a_total[5m]))&browse=off');
  await expect(page.getByRole('region', { name: 'Query A' })).toContainText('4 series');
  await page.getByRole('button', { name: 'Scope: all clusters' }).click();
  await page.getByRole('checkbox', { name: /^prod-01/ }).check();
  await page.getByRole('checkbox', { name: 'Refuse incomplete answers' }).check();
  await expectAccessible(page);
  await page.keyboard.press('Escape');
  await expect(page).toHaveURL(/scope=cluster%3Dprod-01.*partial=deny/);
  const queries = () =>
    asked
      .filter((request) => request.url().includes('/api/v1/query_range'))
      .map((request) => new URL(request.url()).searchParams);
  await expect
    .poll(() => queries().map((one) => `${one.get('query') ?? ''} ${one.get('partial') ?? ''}`))
    .toContain('sum(rate(a_total{cluster="prod-01"}[5m])) deny');
  // The query that is read stays the one that was written.
  await expect(page.getByRole('textbox', { name: 'PromQL query A' })).toHaveText('sum(rate(a_total[5m]))');
  // Kept from page to page.
  await page.getByRole('link', { name: 'Logs' }).click();
  await expect(page).toHaveURL(/\/ui\/logs\?.*scope=cluster%3Dprod-01/);
  await expect
    .poll(() =>
      asked
        .filter((request) => request.url().includes('/loki/api/v1/query_range'))
        .map((request) => new URL(request.url()).searchParams.get('query')),
    )
    .toContain('{cluster="prod-01", job=~".+"}');
  await page.getByRole('button', { name: /^Clear the scope/ }).click();
  await expect(page).not.toHaveURL(/scope=|partial=/);
});

test('pages of a federation fit a phone', async ({ page }) => {
  await mockMesh(page, { coverage: coverageAnswer });
  await page.setViewportSize({ width: 390, height: 844 });
  for (const path of ['/ui/?open=prod-01', '/ui/federation?peer=dev-01', '/ui/metrics?q=up&browse=off']) {
    await page.goto(path);
    await expect(page.locator('main .panel').first()).toBeVisible();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide, `${path} scrolls sideways as a whole`).toBeLessThanOrEqual(390);
    await expectAccessible(page);
  }
});
