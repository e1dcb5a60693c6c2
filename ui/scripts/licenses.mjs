// Every package must be free to ship. What ends up in the bundle must be permissive; tools that only build or test it
// may also be file-level copyleft, since none of their code is shipped.
import { readFileSync } from 'node:fs';

const PERMISSIVE = [
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'Unlicense',
  'CC0-1.0',
  'Python-2.0',
  'CC-BY-4.0',
];
const TOOLS_ONLY = ['MPL-2.0'];

const root = new URL('../', import.meta.url);
const lock = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8'));

function allowed(expression, list) {
  if (expression.includes(' OR '))
    return strip(expression)
      .split(' OR ')
      .some((one) => allowed(one, list));
  if (expression.includes(' AND '))
    return strip(expression)
      .split(' AND ')
      .every((one) => allowed(one, list));
  return list.includes(strip(expression));
}

function strip(text) {
  return text.replace(/[()]/g, '').trim();
}

const refused = [];
let count = 0;
for (const [path, entry] of Object.entries(lock.packages)) {
  if (path === '') continue;
  count += 1;
  const license = typeof entry.license === 'string' ? entry.license : 'unknown';
  const list = entry.dev ? [...PERMISSIVE, ...TOOLS_ONLY] : PERMISSIVE;
  if (!allowed(license, list)) refused.push(`${path} ${entry.version}: ${license}`);
}
console.log(`${count} packages, ${refused.length} refused`);
for (const line of refused) console.log(line);
process.exit(refused.length > 0 ? 1 : 0);
