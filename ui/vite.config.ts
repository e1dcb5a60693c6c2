import { defineConfig } from 'vitest/config';
import react from '@vitejs/plugin-react';

/** Where `npm run dev` finds a running node; the built UI always talks to its own origin. */
const node = process.env.ORRERY_URL ?? 'http://127.0.0.1:9494';

export default defineConfig({
  base: '/ui/',
  plugins: [react()],
  build: {
    outDir: 'dist',
    target: 'es2022',
    // The budget check reads it to learn which chunks a page pulls in.
    manifest: true,
    sourcemap: false,
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': node, '/loki': { target: node, ws: true }, '/jaeger': node } },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts', 'src/**/*.test.tsx'] },
});
