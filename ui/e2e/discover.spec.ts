/** The logs page in every state, light and dark, and what can be done on it. */
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { mockLogs, TOTAL, TRACE_ID, tailMessage } from './logs';
import { coverageAnswer, mockMesh } from './mesh';
import { expect, expectAccessible, test } from './node';

const list = (page: Page) => page.getByRole('log');
const lines = (page: Page) => list(page).locator('.line');
const fields = (page: Page) => page.getByRole('complementary', { name: 'Fields' });
const editor = (page: Page) => page.getByRole('textbox', { name: 'LogQL query' });
/** With `ORRERY_SHOTS=dir` every state is kept as a picture there. */
const shots = process.env.ORRERY_SHOTS;

async function look(page: Page, scheme: string, name: string): Promise<void> {
  if (shots) await page.screenshot({ path: `${shots}/${name}-${scheme}.png` });
  await expectAccessible(page);
}

for (const scheme of ['light', 'dark'] as const) {
  test.describe(scheme, () => {
    test.use({ colorScheme: scheme });

    test('lines, fields and bars stand together', async ({ page }) => {
      await mockLogs(page);
      await page.goto('/ui/logs?cols=service_name,json:status&field=json:status');
      await expect(lines(page).first()).toContainText('order placed');
      await expect(fields(page).getByRole('button', { name: 'Only status = a-1' })).toBeVisible();
      await expect(page.getByRole('region', { name: 'Histogram' })).toContainText(
        /[1-9][\d\u202f]* ?lines in the range/,
      );
      await expect(page.getByRole('group', { name: /^Lines per .* by level/ })).toBeVisible();
      await look(page, scheme, 'lines');
    });

    test('a line opens to its fields by kind, and to the lines around it', async ({ page }) => {
      await mockLogs(page);
      await page.goto('/ui/logs');
      await lines(page).first().getByRole('button').click();
      const table = page.getByRole('table', { name: 'Fields of the line' });
      for (const kind of ['Stream labels', 'Sent beside the line', 'In the line (json)']) {
        await expect(table.getByRole('rowheader', { name: kind })).toBeVisible();
      }
      await look(page, scheme, 'detail');
      await page.getByRole('button', { name: 'Surrounding lines' }).click();
      await expect(page).toHaveURL(/around=10/);
      const around = page.getByRole('region', { name: 'Surrounding lines' });
      await expect(around).toContainText('service_name="checkout"');
      await expect(around.locator('.line')).toHaveCount(11);
      await expect(around.locator('[aria-current]')).toHaveCount(1);
      await around.getByLabel('On either side').selectOption('25');
      await expect(around.locator('.line')).toHaveCount(26);
      await look(page, scheme, 'around');
    });

    test('patterns have counts and a trend', async ({ page }) => {
      await mockLogs(page);
      await page.goto('/ui/logs?view=patterns');
      const table = page.getByRole('table', { name: 'Patterns' });
      await expect(table.getByRole('row').nth(1)).toContainText('request <_> done');
      await expect(table.getByRole('row').filter({ hasText: 'payment failed' })).toContainText('new');
      await look(page, scheme, 'patterns');
    });

    test('a live tail waits while one reads and says for how many lines', async ({ page }) => {
      const mocked = await mockLogs(page);
      await page.goto('/ui/logs?view=live');
      await expect(page.getByText('Live', { exact: true }).and(page.locator('.fresh'))).toBeVisible();
      await expect(page.getByRole('heading', { name: 'Waiting for lines' })).toBeVisible();
      await look(page, scheme, 'live-empty');
      mocked.tail().send(tailMessage(120));
      await expect(lines(page).first()).toContainText('live line 119');
      await list(page).evaluate((element) => element.scrollTo(0, 400));
      await expect(page.getByText('Paused', { exact: true })).toBeVisible();
      const dropped = [{ labels: {}, timestamp: '1' }];
      mocked
        .tail()
        .send(tailMessage(7, { dropped_entries: dropped, coverage: [{ cluster: 'edge-07', state: 'missing' }] }));
      const goOn = page.getByRole('button', { name: '7 lines waiting, go on' });
      await expect(goOn).toBeVisible();
      await expect(page.getByText('at least 1 line left out')).toBeVisible();
      await expect(page.getByRole('status').filter({ hasText: 'edge-07 missing' })).toBeVisible();
      await look(page, scheme, 'live-paused');
      await goOn.click();
      await expect(lines(page).first()).toContainText('live line 6 of 7');
      const live = page.getByText('Live', { exact: true }).and(page.locator('.fresh'));
      await expect(live).toBeVisible();
      // Going back to where lines come in is going on, too.
      await list(page).evaluate((element) => element.scrollTo(0, 400));
      await expect(page.getByText('Paused', { exact: true })).toBeVisible();
      await list(page).evaluate((element) => element.scrollTo(0, 0));
      await expect(live).toBeVisible();
    });

    test('where a cluster is missing the bars are hatched and it is named', async ({ page }) => {
      await mockMesh(page);
      await mockLogs(page, { coverage: (from, to) => coverageAnswer('logs', from, to) });
      await page.goto('/ui/logs?split=k8s_pod_name');
      await expect(page.getByRole('list', { name: 'Not in this picture' })).toContainText('dev-01 missing');
      await expect(page.getByRole('list', { name: 'Bars' })).toContainText('a-1');
      await expect(page.getByRole('button', { name: 'Coverage: Missing' })).toBeVisible();
      await look(page, scheme, 'hatched');
    });

    test('no lines says why and what to do', async ({ page }) => {
      await mockLogs(page, { empty: true });
      await page.goto('/ui/logs?q=nowhere');
      await expect(page.getByRole('heading', { name: 'No lines match in this range' })).toBeVisible();
      await expect(page.getByText(/12\u202f345 lines of these streams lie in the range/)).toBeVisible();
      await look(page, scheme, 'empty');
      await page.getByRole('button', { name: 'Without the filters' }).click();
      await expect(page).toHaveURL(/q=%7Bcluster/);
    });

    test('a refusal says where and what to do', async ({ page }) => {
      await mockLogs(page);
      await page.route(/\/loki\/api\/v1\/query_range/, (route) =>
        route.fulfill({ status: 400, body: 'parse error at line 1, col 18: syntax error: unexpected |' }),
      );
      await page.goto('/ui/logs?q=%7Bcluster%3D"a"%7D%20|%20|');
      await expect(page.getByRole('alert').first()).toContainText('unexpected |');
      await look(page, scheme, 'refused');
    });

    test('searches are saved, opened, shared and removed', async ({ page }) => {
      await mockLogs(page);
      await page.goto('/ui/logs?q=timeout&cols=thread');
      await page.getByRole('button', { name: 'Saved' }).click();
      await page.getByRole('textbox', { name: 'Name of this search' }).fill('Time-outs');
      await page.keyboard.press('Enter');
      const saved = page.getByRole('list', { name: 'Saved searches' });
      await expect(saved.getByRole('link')).toHaveAttribute('href', '/ui/logs?q=timeout&cols=thread');
      await look(page, scheme, 'saved');
      await page.goto('/ui/logs');
      await page.getByRole('button', { name: 'Saved' }).click();
      await saved.getByRole('link').click();
      await expect(page).toHaveURL(/q=timeout&cols=thread/);
      await page.getByRole('button', { name: 'Saved' }).click();
      await page.getByRole('button', { name: 'Remove Time-outs' }).click();
      await expect(page.getByText('Nothing saved yet')).toBeVisible();
    });
  });
}

test('words are searched for in every stream, marked, and become LogQL on request', async ({ page }) => {
  const { queries } = await mockLogs(page);
  await page.goto('/ui/logs');
  await editor(page).fill('payment timeout');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/q=payment\+timeout/);
  await expect.poll(() => queries).toContain('{cluster=~".+"} |= "payment" |= "timeout"');
  await expect(list(page).locator('mark').first()).toHaveText(/payment|timeout/);
  await page.getByRole('button', { name: 'Edit as LogQL' }).click();
  await expect(editor(page)).toHaveText('{cluster=~".+"} |= "payment" |= "timeout"');
});

test('terminal colours are colours, and the text is plain', async ({ page }) => {
  await mockLogs(page);
  await page.goto('/ui/logs');
  const line = lines(page).filter({ hasText: 'refreshed 2 keys' });
  await expect(line.locator('.ansi-green')).toHaveText('INFO');
  await expect(line).toContainText('INFO cache refreshed 2 keys in 2 ms');
});

test('an id of a trace leads to it without any configuration', async ({ page }) => {
  await mockLogs(page);
  await page.goto('/ui/logs');
  const link = list(page).getByRole('link', { name: TRACE_ID }).first();
  await expect(link).toHaveAttribute('href', `/ui/trace/${TRACE_ID}`);
});

test('a field of the line becomes a filter, a column and the split of the bars', async ({ page }) => {
  const { queries } = await mockLogs(page);
  await page.goto('/ui/logs');
  await fields(page).getByRole('searchbox', { name: 'Find a field' }).fill('stat');
  await fields(page)
    .getByRole('button', { name: /^status/ })
    .first()
    .click();
  await expect(page).toHaveURL(/field=json:status/);
  await expect
    .poll(() => queries)
    .toContain(
      'topk(12, sum by (status) (count_over_time({cluster=~".+"} | json | drop __error__, __error_details__ [1h])))',
    );
  await fields(page).getByRole('button', { name: 'column' }).click();
  await expect(page).toHaveURL(/cols=service_name,json:status/);
  await expect(lines(page).first().locator('.lineColumn').nth(1)).toHaveText('200');
  await fields(page).getByRole('button', { name: 'split' }).click();
  await expect(page).toHaveURL(/split=json:status/);
  await expect(page.getByRole('list', { name: 'Bars' })).toContainText('a-2');
  await page.getByRole('list', { name: 'Bars' }).getByRole('button', { name: /^a-2/ }).click();
  await expect(editor(page)).toHaveText('{cluster=~".+"} | json | status="a-2"');
  await page.goBack();
  await fields(page).getByRole('button', { name: 'Without status = a-1' }).click();
  await expect(editor(page)).toHaveText('{cluster=~".+"} | json | status!="a-1"');
});

test('a node that knows no fields and no patterns is made up for by the lines', async ({ page }) => {
  await mockLogs(page, { known: false });
  await page.goto('/ui/logs');
  await expect(fields(page)).toContainText('In the line, logfmt');
  await expect(fields(page).getByRole('button', { name: /^duration/ })).toBeVisible();
  await page.getByRole('button', { name: 'Patterns' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'patterns in the 200 loaded lines' })).toBeVisible();
  const row = page.getByRole('table', { name: 'Patterns' }).getByRole('row').filter({ hasText: 'slow query' });
  await row.getByRole('button', { name: /^Only/ }).click();
  await expect(editor(page)).toHaveText(/\|> "slow query on orders: <_> ms/);
  await expect(page).not.toHaveURL(/view=/);
});

test('oldest first pages towards now, each line once', async ({ page }) => {
  await mockLogs(page);
  await page.goto('/ui/logs?cols=-');
  await expect(lines(page).first()).toBeVisible();
  await page.getByRole('button', { name: 'Time, newest first' }).click();
  await expect(page).toHaveURL(/order=oldest/);
  await expect(page.getByRole('log', { name: 'Log lines, oldest first' })).toBeVisible();
  const loaded = page.getByText(new RegExp(`, ${TOTAL} loaded`));
  await expect
    .poll(async () => {
      await list(page).evaluate((element) => element.scrollTo(0, element.scrollHeight));
      return loaded.count();
    })
    .toBe(1);
  await expect(page.getByText('No newer lines in this range.')).toBeVisible();
});

test('a line that is not loaded is shown by its address', async ({ page }) => {
  await mockLogs(page);
  await page.goto('/ui/logs?order=oldest');
  await lines(page).nth(3).getByRole('button').click();
  await expect(page).toHaveURL(/line=\d+-/);
  const shared = new URL(page.url());
  shared.searchParams.delete('order');
  await page.goto(shared.toString());
  const pinned = page.getByRole('region', { name: 'The line of this address' });
  await expect(pinned).toContainText('is not among those below');
  await expectAccessible(page);
  await pinned.getByRole('button', { name: 'Close' }).click();
  await expect(page).not.toHaveURL(/line=/);
});

test('what is loaded and all of the range are saved as files', async ({ page }) => {
  await mockLogs(page);
  await page.goto('/ui/logs?cols=service_name');
  await expect(lines(page).first()).toBeVisible();
  const save = async (item: RegExp) => {
    await page.getByRole('button', { name: 'Download' }).click();
    const arrived = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: item }).click();
    return readFileSync(await (await arrived).path(), 'utf8');
  };
  const shown = await save(/^The 200 loaded lines as CSV/);
  expect(shown.split('\r\n')[0]).toBe('time,level,service_name,line');
  const all = JSON.parse(await save(/^All of the range as JSON/)) as { ns: string }[];
  expect(all).toHaveLength(TOTAL);
  expect(new Set(all.map((one) => one.ns)).size).toBe(TOTAL);
  await expect(page.getByRole('status').filter({ hasText: `${TOTAL} lines saved` })).toBeVisible();
});

test('keys change the view', async ({ page }) => {
  await mockLogs(page);
  await page.goto('/ui/logs');
  await expect(lines(page).first()).toBeVisible();
  for (const [letter, url] of [
    ['w', /wrap=on/],
    ['o', /order=oldest/],
    ['h', /hist=off/],
    ['p', /view=patterns/],
    ['l', /view=live/],
  ] as const) {
    await page.keyboard.press('v');
    await page.keyboard.press(letter);
    await expect(page).toHaveURL(url);
  }
});

test('the page fits a phone', async ({ page }) => {
  await mockLogs(page);
  await page.setViewportSize({ width: 390, height: 844 });
  for (const at of ['/ui/logs', '/ui/logs?view=patterns', '/ui/logs?view=live']) {
    await page.goto(at);
    await expect(page.locator('main .panel').first()).toBeVisible();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide, `${at} scrolls sideways as a whole`).toBeLessThanOrEqual(390);
    if (shots) await page.screenshot({ path: `${shots}/phone-${at.replace(/\W+/g, '-')}.png` });
    await expectAccessible(page);
  }
});
