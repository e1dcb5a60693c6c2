// Writes .br and .gz beside every asset that shrinks, so that the node serves bytes it never has to compress.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const root = new URL('../dist/', import.meta.url).pathname;
const text = new Set(['.js', '.css', '.html', '.svg', '.json', '.map']);
const br = promisify(brotliCompress);
const gz = promisify(gzip);

async function* files(dir) {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else yield path;
  }
}

let raw = 0;
let packed = 0;
let count = 0;
for await (const path of files(root)) {
  // The manifest is for the budget check, not for browsers.
  if (!text.has(extname(path)) || path.includes('/.vite/')) continue;
  const body = await readFile(path);
  const [b, g] = await Promise.all([
    br(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length } }),
    gz(body, { level: 9 }),
  ]);
  await Promise.all([writeFile(`${path}.br`, b), writeFile(`${path}.gz`, g)]);
  raw += body.length;
  packed += b.length;
  count += 1;
  console.log(`${relative(root, path).padEnd(48)} ${kb(body.length)} raw ${kb(g.length)} gz ${kb(b.length)} br`);
}
console.log(`${count} files: ${kb(raw)} raw, ${kb(packed)} brotli`);

function kb(bytes) {
  return `${(bytes / 1000).toFixed(1).padStart(7)} kB`;
}
