/**
 * Browser tests against a running node with data in it: `ORRERY_URL=http://host:port npm run e2e`. They only read.
 * The system's own Chromium is used, so nothing is downloaded.
 */
import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: 'e2e',
  // Out of the source tree: a screenshot of a failure must not make the build look stale.
  outputDir: 'node_modules/.e2e',
  // One browser at a time: on a small machine two of them time each other out.
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [['list']],
  use: {
    baseURL: process.env.ORRERY_URL ?? 'http://127.0.0.1:9494',
    viewport: { width: 1440, height: 900 },
    timezoneId: 'UTC',
    contextOptions: { reducedMotion: 'reduce' },
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--disable-dev-shm-usage',
      ],
    },
  },
});
