/** The service map, the list of services and the page of one, light and dark, in every state. */
import type { Page } from '@playwright/test';
import { mockGraph } from './graph';
import { coverageAnswer } from './mesh';
import { expect, expectAccessible, test } from './node';
import { mockSpans } from './spans';

const map = (page: Page) => page.getByRole('region', { name: 'Service map' });
const node = (page: Page, name: string) => map(page).getByRole('button', { name: new RegExp(`^${name},`) });
/** With `ORRERY_SHOTS=dir` every state is kept as a picture there. */
const shots = process.env.ORRERY_SHOTS;

async function look(page: Page, scheme: string, name: string): Promise<void> {
  if (shots) await page.screenshot({ path: `${shots}/services-${name}-${scheme}.png` });
  await expectAccessible(page);
}

for (const scheme of ['light', 'dark'] as const) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test('the map has services, databases, queues and callers from outside', async ({ page }) => {
      await mockGraph(page);
      await page.goto('/ui/topology');
      await expect(node(page, 'checkout')).toBeVisible();
      await expect(node(page, 'redis')).toHaveAccessibleName(/redis, database, prod-01: 55\/s/);
      await expect(node(page, 'mailer')).toHaveAccessibleName(/mailer, service, jobs, prod-01/);
      await expect(node(page, 'user')).toHaveAccessibleName(/outside caller/);
      await expect(map(page).getByText('✖ 8.33 %').first()).toBeVisible();
      await expect(page.getByText('128 spans had no other half in time on their node')).toBeVisible();
      await expect(page.getByText('Calls between nodes are counted in spans, of one trace in 8')).toBeVisible();
      await expect(node(page, 'ledger')).toHaveAccessibleName(/ledger, service, prod-03: 2\/s/);
      await look(page, scheme, 'map');
    });

    test('a node shows its neighbours and what there is around it', async ({ page }) => {
      await mockGraph(page);
      await page.goto('/ui/topology');
      await node(page, 'checkout').click();
      await expect(page).toHaveURL(/node=prod-01\/shop\/checkout/);
      const panel = page.getByRole('complementary', { name: 'Node' });
      await expect(panel.getByRole('region', { name: 'Calls' }).getByRole('listitem')).toHaveCount(3);
      await look(page, scheme, 'node');
      await page.getByRole('button', { name: 'Neighbours', exact: true }).click();
      await expect(node(page, 'redis')).toBeHidden();
      await expect(node(page, 'payment')).toBeVisible();
      await page.getByRole('button', { name: '2 hops' }).click();
      await expect(node(page, 'user')).toBeVisible();
      await panel.getByRole('link', { name: 'Service page' }).click();
      await expect(page).toHaveURL(/\/ui\/services\/checkout/);
    });

    test('two hundred services are folded into groups that open', async ({ page }) => {
      await mockGraph(page, { many: 200 });
      await page.goto('/ui/topology');
      await expect(map(page).getByRole('button')).toHaveCount(12 + 3);
      await look(page, scheme, 'folded');
      await node(page, 'team-3').dblclick();
      await expect(page).toHaveURL(/open=prod-01\/team-3\//);
      await expect(node(page, 'svc-003')).toBeVisible();
      await page.getByRole('button', { name: 'Services', exact: true }).click();
      await expect(node(page, 'svc-199')).toBeAttached();
      await expect(map(page).getByRole('status')).toHaveCount(0);
      await look(page, scheme, 'many');
      await page.getByRole('searchbox', { name: 'Find a service' }).fill('svc-042');
      await page.keyboard.press('Enter');
      await expect(page).toHaveURL(/node=prod-01\/team-6\/svc-042/);
      await page.getByRole('button', { name: 'Neighbours', exact: true }).click();
      await expect(map(page).getByRole('status')).toHaveCount(0);
      await look(page, scheme, 'found');
    });

    test('the tables say what the map says', async ({ page }) => {
      await mockGraph(page);
      await page.goto('/ui/topology?view=table');
      const edges = page.getByRole('table', { name: 'Edges' });
      await expect(edges.getByRole('row').nth(1)).toContainText(/cart\s*redis\s*database\s*55\/s\s*0 %/);
      await edges.getByRole('button', { name: 'Errors' }).click();
      await expect(page).toHaveURL(/sort=-errors/);
      await expect(edges.getByRole('row').nth(1)).toContainText('✖');
      await look(page, scheme, 'table');
    });

    test('where a cluster is missing it is named', async ({ page }) => {
      await mockGraph(page, { coverage: (from, to) => coverageAnswer('metrics', from, to) });
      await page.goto('/ui/topology');
      await expect(page.getByRole('list', { name: 'Not in this picture' })).toContainText('dev-01 missing');
      await expect(node(page, 'checkout')).toBeVisible();
      await look(page, scheme, 'partial');
    });

    test('no edges yet says what to do', async ({ page }) => {
      await mockGraph(page, { empty: true });
      await page.goto('/ui/topology');
      await expect(page.getByRole('heading', { name: 'No edges yet' })).toBeVisible();
      await expect(page.getByText('traces_service_graph_request_total')).toBeVisible();
      await look(page, scheme, 'empty');
    });

    test('services are listed with what they serve', async ({ page }) => {
      await mockGraph(page);
      await page.goto('/ui/services');
      const table = page.getByRole('table', { name: 'Services' });
      await expect(table.getByRole('row').nth(1)).toContainText(/frontend\s*shop\s*prod-01\s*42\/s/);
      await expect(table.locator('.spark path').first()).toHaveAttribute('d', /^M/);
      await look(page, scheme, 'list');
    });

    test('the page of a service has all of it', async ({ page }) => {
      await mockSpans(page);
      await mockGraph(page);
      await page.goto('/ui/services/checkout?ex=on');
      await expect(page.getByRole('region', { name: 'Rate' })).toContainText('4.15/s');
      await expect(page.getByRole('region', { name: 'Duration', exact: true })).toContainText('p95 240ms');
      const operations = page.getByRole('table', { name: 'Operations' });
      await expect(operations.getByRole('row').nth(1)).toContainText(/POST \/checkout\s*4.15\/s/);
      await expect(page.getByRole('region', { name: 'Called by', exact: true })).toContainText('frontend');
      await expect(page.getByRole('region', { name: 'Calls', exact: true }).getByRole('listitem')).toHaveCount(3);
      await expect(page.getByRole('region', { name: 'Failed traces' }).getByRole('link').nth(1)).toBeVisible();
      await expect(page.getByRole('region', { name: 'Logs' })).toContainText('18\u202f592 lines');
      await expect(page.getByRole('button', { name: '12 exemplars, list them' })).toBeVisible();
      await look(page, scheme, 'service');
      await operations.getByRole('button', { name: 'POST /checkout', exact: true }).click();
      await expect(page).toHaveURL(/op=POST/);
    });

    test('a service that serves nothing says so', async ({ page }) => {
      await mockSpans(page, { empty: true });
      await mockGraph(page, { empty: true });
      await page.goto('/ui/services/nobody');
      await expect(page.getByText('served nothing in this range')).toBeVisible();
      await look(page, scheme, 'nothing');
    });
  });
}

test('services that do not meet are told from no services at all', async ({ page }) => {
  await mockGraph(page, { apart: true });
  await page.goto('/ui/topology');
  await expect(page.getByText('traceparent')).toBeVisible();
});

test('only what fails is shown when asked for', async ({ page }) => {
  await mockGraph(page);
  await page.goto('/ui/topology?errors=on');
  await expect(node(page, 'payment')).toBeVisible();
  await expect(node(page, 'redis')).toBeHidden();
  await page.getByRole('button', { name: 'Errors only' }).click();
  await expect(node(page, 'redis')).toBeVisible();
});

test('arrow keys go from node to node, Enter looks at one', async ({ page }) => {
  await mockGraph(page);
  await page.goto('/ui/topology');
  await node(page, 'frontend').focus();
  await page.keyboard.press('ArrowRight');
  await expect(node(page, 'frontend')).not.toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/node=/);
  await page.keyboard.press('Escape');
  await expect(page).not.toHaveURL(/node=/);
});

test('a click on a name leads to the page of the service', async ({ page }) => {
  await mockGraph(page);
  await page.goto('/ui/topology');
  await map(page).getByText('payment', { exact: true }).click();
  await expect(page).toHaveURL(/\/ui\/services\/payment/);
});

test('an exemplar of the durations leads to its trace', async ({ page }) => {
  await mockSpans(page);
  await mockGraph(page);
  await page.goto('/ui/services/checkout?ex=list');
  const list = page.getByRole('table', { name: 'Exemplars of durations' });
  await expect(list.getByRole('link').first()).toHaveAttribute('href', /\/ui\/trace\/0{28}abc/);
});

test('the pages fit a phone', async ({ page }) => {
  await mockSpans(page);
  await mockGraph(page);
  await page.setViewportSize({ width: 390, height: 844 });
  for (const at of ['/ui/topology', '/ui/topology?view=table', '/ui/services', '/ui/services/checkout']) {
    await page.goto(at);
    await expect(page.locator('main .panel').first()).toBeVisible();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide, `${at} scrolls sideways as a whole`).toBeLessThanOrEqual(390);
    if (shots) await page.screenshot({ path: `${shots}/services-phone-${at.replace(/\W+/g, '-')}.png` });
    await expectAccessible(page);
  }
});
