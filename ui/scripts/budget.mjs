// Fails when the shell or a page outgrows its budget. A page counts every chunk and sheet it pulls in statically,
// without what the shell has already loaded. The query editors come after the page has drawn its results; each is a
// line of its own under the same limit.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const SHELL_BYTES = 200_000;
const PAGE_BYTES = 150_000;

const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8'));

function closure(key, into = new Set()) {
  const chunk = manifest[key];
  if (!chunk || into.has(chunk.file)) return into;
  into.add(chunk.file);
  for (const sheet of chunk.css ?? []) into.add(sheet);
  for (const next of chunk.imports ?? []) closure(next, into);
  return into;
}

function size(files) {
  return [...files].reduce((sum, file) => sum + gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length, 0);
}

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const shell = closure(entry);
const rows = [['shell', size(shell), SHELL_BYTES]];
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry) continue;
  const own = [...closure(key)].filter((file) => !shell.has(file));
  rows.push([key.replace('src/', ''), size(own), PAGE_BYTES]);
}

let failed = false;
for (const [name, bytes, limit] of rows) {
  const over = bytes > limit;
  failed ||= over;
  console.log(
    `${over ? 'OVER' : 'ok  '} ${name.padEnd(36)} ${(bytes / 1000).toFixed(1).padStart(7)} kB gz of ${limit / 1000}`,
  );
}
process.exit(failed ? 1 : 0);
