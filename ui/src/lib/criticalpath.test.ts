import { describe, expect, it } from 'vitest';
import { criticalPath, type Section, sectionsBySpan, timeOnPath } from './criticalpath';
import { seeded } from './seeded';
import { buildTrace, type Span } from './trace';
import { randomTrace, traceOf } from './tracetext';

function pathOf(text: string): string {
  const { spans } = buildTrace(traceOf(text));
  const earliest = Math.min(...[...text.matchAll(/(\d+)\.\./g)].map((m) => Number(m[1])));
  const at = (us: number) => us + earliest;
  return criticalPath(spans)
    .map(({ span, fromUs, toUs }) => `${spans[span]?.id} ${at(fromUs)}..${at(toUs)}`)
    .join(', ');
}

/** The shapes of Jaeger's own cases (`TracePage/CriticalPath/testCases`), then what they leave out. */
const CASES: [string, string, string][] = [
  [
    'goes through children one after the other',
    `
    C 1..101
      D 20..40
      E 50..60`,
    'C 1..20, D 20..40, C 40..50, E 50..60, C 60..101',
  ],
  [
    'takes of two at the same time the one that ends last',
    `
    X 1..101
      A 10..50
      C 20..60`,
    'X 1..20, C 20..60, X 60..101',
  ],
  [
    'leaves out a child that begins after its parent has ended, with its children',
    `
    A 1..31
      B 40..80
        C 50..60`,
    'A 1..31',
  ],
  [
    'leaves out a child that ended before its parent began',
    `
    A 10..30
      B 1..5`,
    'A 10..30',
  ],
  [
    'leaves out what follows its parent',
    `
    A 1..31 kind=producer
      B 10..20 follows kind=consumer
        C 12..14`,
    'A 1..31',
  ],
  [
    'leaves out the consumer of what its parent produced, by kind alone',
    `
    A 1..31 kind=producer
      B 10..20 kind=consumer
        C 12..14
      D 21..25`,
    'A 1..21, D 21..25, A 25..31',
  ],
  [
    'keeps a consumer whose parent produced nothing',
    `
    A 1..31
      B 10..20 kind=consumer`,
    'A 1..10, B 10..20, A 20..31',
  ],
  [
    'cuts children to their parents at both ends',
    `
    A 1..30
      B 15..35
        C 10..25`,
    'A 1..15, C 15..25, B 25..30',
  ],
  [
    'cuts a chain of calls that outlive their callers',
    `
    A 1..30
      B 15..35
        C 20..40`,
    'A 1..15, B 15..20, C 20..30',
  ],
  [
    'gives a child that covers its parent all of its time',
    `
    A 10..30
      B 5..35`,
    'B 10..30',
  ],
  [
    'counts a child that ends as the next begins as before it',
    `
    A 0..30
      B 0..10
      C 10..20
      D 20..30`,
    'B 0..10, C 10..20, D 20..30',
  ],
  [
    'goes back over several at the same time to the last that had ended',
    `
    A 0..100
      B 10..40
      C 20..45
      D 50..90
        E 55..60
        F 60..95`,
    'A 0..20, C 20..45, A 45..50, D 50..55, E 55..60, F 60..90, A 90..100',
  ],
  [
    'begins anew below a span that is missing',
    `
    A 0..50
    B 60..90 parent=lost
      C 70..80`,
    'A 0..50, B 60..70, C 70..80, B 80..90',
  ],
  ['of a span of no length is empty', 'A 5..5', ''],
];

describe('the critical path', () => {
  it.each(CASES)('%s', (_name, text, path) => expect(pathOf(text)).toBe(path));

  it('takes a chain of many thousands, and as many children of one, in its stride', { timeout: 60_000 }, () => {
    const chain = Array.from(
      { length: 150_000 },
      (_, i) => `s${i} ${i}..${400_000 - i} ${i > 0 ? `parent=s${i - 1}` : ''}`,
    );
    const deep = buildTrace(traceOf(chain.join('\n'))).spans;
    expect(criticalPath(deep)).toHaveLength(2 * 150_000 - 1);
    const wide = ['s 0..300000', ...Array.from({ length: 150_000 }, (_, i) => `c${i} ${2 * i}..${2 * i + 1} parent=s`)];
    expect(criticalPath(buildTrace(traceOf(wide.join('\n'))).spans)).toHaveLength(300_000);
  });

  it('covers every tree from its beginning to its end, once, and never leaves a span', () => {
    const random = seeded(1);
    for (let round = 0; round < 400; round += 1) {
      const { spans } = buildTrace(randomTrace(random, 1 + Math.floor(random() * 40)));
      const path = criticalPath(spans);
      const byRoot = new Map<number, Section[]>();
      for (const section of path) {
        const root = rootOf(spans, section.span);
        byRoot.set(root, [...(byRoot.get(root) ?? []), section]);
        const span = spans[section.span] as Span;
        expect(section.fromUs).toBeGreaterThanOrEqual(span.startUs);
        expect(section.toUs).toBeLessThanOrEqual(span.startUs + span.durationUs);
        expect(section.toUs).toBeGreaterThan(section.fromUs);
      }
      for (const [i, span] of spans.entries()) {
        if (span.parent >= 0 || span.durationUs === 0) continue;
        const sections = byRoot.get(i) ?? [];
        let at = span.startUs;
        for (const section of sections) {
          expect(section.fromUs).toBe(at);
          at = section.toUs;
        }
        expect(at).toBe(span.startUs + span.durationUs);
      }
    }
  });

  it('is what the definition says, worked out by recursion', () => {
    const random = seeded(2);
    for (let round = 0; round < 400; round += 1) {
      const { spans } = buildTrace(randomTrace(random, 1 + Math.floor(random() * 25)));
      const plain = (sections: readonly Section[]) => sections.map((one) => [one.span, one.fromUs, one.toUs]);
      expect(plain(criticalPath(spans))).toEqual(plain(byDefinition(spans)));
    }
  });

  it('adds up by span', () => {
    const { spans } = buildTrace(traceOf('A 0..100\n  B 20..30\n  C 40..60'));
    const path = criticalPath(spans);
    expect([...timeOnPath(path, spans.length)]).toEqual([70, 10, 20]);
    expect(sectionsBySpan(path).get(0)).toHaveLength(3);
  });
});

function rootOf(spans: readonly Span[], index: number): number {
  let at = index;
  while ((spans[at]?.parent ?? -1) >= 0) at = spans[at]?.parent ?? -1;
  return at;
}

/** Cut, leave out, and step back to the last child that had ended; slow, and as it is written down. */
function byDefinition(spans: readonly Span[]): Section[] {
  interface Node {
    i: number;
    from: number;
    to: number;
    children: Node[];
  }
  const cut = (i: number, from: number, to: number): Node => {
    const children = spans.flatMap((child, k) => {
      const parent = spans[i] as Span;
      const end = child.startUs + child.durationUs;
      if (child.parent !== i || child.follows) return [];
      if (parent.kind === 'producer' && child.kind === 'consumer') return [];
      if (child.startUs >= to || end <= from) return [];
      return [cut(k, Math.max(child.startUs, from), Math.min(end, to))];
    });
    return { i, from, to, children };
  };
  const walk = (node: Node): Section[] => {
    const out: Section[] = [];
    let until = node.to;
    let left = [...node.children];
    for (;;) {
      const [last] = left
        .filter((child) => child.to <= until)
        .sort((a, b) => b.to - a.to || a.from - b.from || a.i - b.i);
      if (!last) break;
      left = left.filter((child) => child !== last);
      out.push({ span: node.i, fromUs: last.to, toUs: until }, ...walk(last));
      until = last.from;
    }
    return [...out, { span: node.i, fromUs: node.from, toUs: until }];
  };
  return spans.flatMap((span, i) =>
    span.parent >= 0
      ? []
      : walk(cut(i, span.startUs, span.startUs + span.durationUs))
          .filter((one) => one.fromUs < one.toUs)
          .reverse(),
  );
}
