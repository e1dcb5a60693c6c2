import { describe, expect, it } from 'vitest';
import { seeded } from './seeded';
import { measureSkew } from './skew';
import { readTrace } from './spandata';
import { treeOf } from './trace';
import { randomTrace, traceOf, ZERO_US } from './tracetext';

/** `id move` of every span that is moved, in milliseconds. */
function moves(text: string): string {
  const { spans } = readTrace(traceOf(text.replace(/(\d+)\.\.(\d+)/g, '$1000..$2000')));
  const skew = measureSkew(spans);
  return spans.flatMap((span, i) => (skew?.moves[i] ? [`${span.id} ${skew.moves[i] / 1e3}`] : [])).join(', ');
}

/** Those of Jaeger's `clockskew_test.go` that it moves at all, then ours. */
const CASES: [string, string, string][] = [
  ['of one host are never moved', 'A 10..110 host=a\n  B 0..50 host=a', ''],
  ['that fit into their parent stay', 'A 10..110 host=a\n  B 20..70 host=b', ''],
  ['that are longer and begin later stay', 'A 10..110 host=a\n  B 20..170 host=b', ''],
  ['that begin before their parent go to its middle', 'A 10..110 host=a\n  B 0..50 host=b', 'B 35'],
  ['that are longer only go to its beginning', 'A 10..110 host=a\n  B 0..150 host=b', 'B 10'],
  [
    'that end after it go to its middle, and take along what is of the same host',
    'A 10..110 host=a\n  B 50..120 host=b\n    C 60..80 host=b',
    'B -25, C -25',
  ],
  [
    'back on the first host are measured against where their parent was moved to',
    'A 100..200 host=a\n  B 0..50 host=b\n    C 130..150 host=a',
    'B 125',
  ],
  ['that are far too early are moved however far', 'A 90000..90100 host=a\n  B 0..50 host=b', 'B 90025'],
  ['that are far too late are not believed', 'A 0..100 host=a\n  B 5000..5050 host=b\n    C 5010..5020 host=b', ''],
  ['that nobody waits for may be late', 'A 0..100 host=a kind=producer\n  B 300..350 host=b kind=consumer', ''],
  ['that follow may be late, and not early', 'A 50..100 host=a\n  B 20..30 host=b follows', 'B 30'],
  ['of processes that tell no host are of a clock each', 'A 10..110 service=x\n  B 0..50 service=y', 'B 35'],
  ['of one process that tells no host stay', 'A 10..110\n  B 0..50', ''],
  ['of hosts with one name in two clusters differ', 'A 10..110 host=n cluster=x\n  B 0..50 host=n cluster=y', 'B 35'],
  ['whose parent is missing have nothing to be measured against', 'A 10..110 host=a\nB 0..50 host=b parent=lost', ''],
];

describe('spans', () => {
  it.each(CASES)('%s', (_name, text, moved) => expect(moves(text)).toBe(moved));

  it('are told by host, with how far they went, and what was not believed', () => {
    const { spans } = readTrace(
      traceOf(
        [
          'A 0..100000 host=a',
          '  B 90000..110000 host=b',
          '    C 95000..96000 host=b',
          '  D 0..10 host=c',
          '  E 9000000..9000010 host=d',
        ].join('\n'),
      ),
    );
    const skew = measureSkew(spans);
    expect(skew?.moved).toEqual([{ host: 'b', spans: 2, leastUs: -50_000, mostUs: -50_000 }]);
    expect(skew?.refused).toEqual([{ host: 'd', spans: 1, leastUs: -8_950_005, mostUs: -8_950_005 }]);
  });

  it('take their events along, and the trace begins where its first span then does', () => {
    const data = readTrace(traceOf('A 10..110 host=a\n  B 0..50 host=b'));
    const skew = measureSkew(data.spans);
    const raw = treeOf(data);
    const moved = treeOf(data, skew?.moves);
    expect([raw.startUs - ZERO_US, raw.durationUs]).toEqual([0, 110]);
    expect([moved.startUs - ZERO_US, moved.durationUs]).toEqual([10, 100]);
    expect(moved.spans.map((span) => [span.id, span.startUs, span.movedUs])).toEqual([
      ['A', 0, 0],
      ['B', 25, 35],
    ]);
  });

  it('once moved need no further moving', () => {
    const random = seeded(3);
    for (let round = 0; round < 300; round += 1) {
      const data = readTrace(randomTrace(random, 1 + Math.floor(random() * 30)));
      const first = measureSkew(data.spans);
      if (!first) continue;
      const again = measureSkew(
        data.spans.map((span, i) => ({ ...span, startUs: span.startUs + (first.moves[i] ?? 0) })),
      );
      expect(again?.moved ?? []).toEqual([]);
    }
  });
});
