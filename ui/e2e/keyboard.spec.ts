/** Everything important without a mouse. */
import { address, expect, expectAccessible, test } from './node';

test('g and a letter go to a page and keep the range', async ({ page }) => {
  await page.goto('/ui/?from=now-2h');
  await expect(page.getByRole('heading', { level: 1, name: 'Fleet' })).toBeVisible();
  for (const [letter, title] of [
    ['m', 'Metrics'],
    ['c', 'Catalogue'],
    ['k', 'Cardinality'],
    ['l', 'Logs'],
    ['t', 'Traces'],
    ['o', 'Service map'],
    ['s', 'Services'],
    ['e', 'Federation'],
    ['p', 'Pipelines'],
    ['f', 'Fleet'],
  ] as const) {
    await page.keyboard.press('g');
    await page.keyboard.press(letter);
    await expect(page.getByRole('heading', { level: 1, name: title })).toBeVisible();
    await expect(page).toHaveURL(/from=now-2h/);
  }
});

test('the palette opens, filters, goes, and closes', async ({ page, seed }) => {
  await page.goto('/ui/');
  await expect(page.getByRole('heading', { level: 1, name: 'Fleet' })).toBeVisible();
  await page.keyboard.press('Control+k');
  const input = page.getByRole('combobox', { name: 'Go to' });
  await expect(input).toBeFocused();
  await expectAccessible(page);
  await input.fill('logs');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Logs' })).toBeVisible();
  await page.keyboard.press('Control+k');
  await input.fill(seed.traceId);
  // The page below has options of its own.
  await expect(page.getByRole('dialog').getByRole('option').first()).toContainText('trace');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`/ui/trace/${seed.traceId}`));
  await page.keyboard.press('Control+k');
  await page.keyboard.press('Escape');
  await expect(input).toBeHidden();
});

test('a slash focuses the query, and letters are text inside it', async ({ page }) => {
  await page.goto(address('/metrics'));
  const editor = page.getByRole('textbox', { name: 'PromQL query A' });
  await expect(editor).toBeVisible();
  await page.keyboard.press('/');
  await expect(editor).toBeFocused();
  await page.keyboard.type('gm');
  await expect(editor).toHaveText('gm');
  await expect(page.getByRole('heading', { level: 1, name: 'Metrics' })).toBeVisible();
});

test('help lists the keys, and letter keys can be switched off', async ({ page }) => {
  await page.goto('/ui/');
  await expect(page.getByRole('heading', { level: 1, name: 'Fleet' })).toBeVisible();
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keyboard' });
  await expect(help).toContainText('Go to Metrics');
  await expectAccessible(page);
  await help.getByRole('checkbox', { name: 'Keys without Ctrl work' }).uncheck();
  await page.keyboard.press('Escape');
  await expect(help).toBeHidden();
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await expect(page.getByRole('heading', { level: 1, name: 'Fleet' })).toBeVisible();
});

test('arrow keys walk the samples of a chart and say them', async ({ page, seed }) => {
  await page.goto(address('/metrics', { q: `count(${seed.metric})` }));
  const chart = page.getByRole('group', { name: /1 series/ });
  await chart.focus();
  await page.keyboard.press('ArrowLeft');
  await expect(page.locator('.timeChart [aria-live]')).toHaveText(/\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}: /);
});

test('arrow keys and Enter open a log line', async ({ page }) => {
  await page.goto(address('/logs'));
  const list = page.getByRole('log');
  await expect(list.getByRole('button').first()).toBeVisible();
  await list.focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/line=\d+-/);
});

test('the theme can be switched and is remembered', async ({ page }) => {
  await page.goto('/ui/');
  await page.getByRole('button', { name: /^Theme: auto/ }).click();
  await page.getByRole('button', { name: /^Theme: light/ }).click();
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', 'dark');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', 'dark');
});

test('arrow keys walk the catalogue, Enter opens a metric', async ({ page }) => {
  await page.goto(address('/metrics/catalog'));
  const links = page.getByRole('table', { name: 'Metrics' }).getByRole('link');
  await links.first().focus();
  const second = await links.nth(1).textContent();
  await page.keyboard.press('ArrowDown');
  await expect(links.nth(1)).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`metric=${second ?? ''}(&|$)`));
  await expect(page.getByRole('heading', { level: 2, name: second ?? '' })).toBeVisible();
});

test('arrow keys walk the cells of a heat map and say their bounds', async ({ page, seed }) => {
  await page.goto(address('/metrics', { q: `sum by (le) (rate(${seed.buckets}[5m]))`, tabs: 'h' }));
  const heat = page.getByRole('group', { name: /Heat map of/ });
  await heat.focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowUp');
  await expect(page.locator('.heatMap [aria-live]')).toHaveText(/\d{2}:\d{2}:\d{2}: Bucket \(.*, .*[\])], Count .*p99/);
});
