import { describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import {
  addTraceCondition,
  attributeText,
  conditionsOf,
  isMetricsQuery,
  metricOf,
  narrowTraceql,
  splitTraceQuery,
  withStage,
} from './traceql';

describe('stages', () => {
  it('are split at bars outside of braces, strings and comments', () => {
    expect(splitTraceQuery('{ .a = "|}" || .b = `{` } | by(.c) // | x\n | count() > 1')?.stages).toEqual([
      '{ .a = "|}" || .b = `{` }',
      'by(.c)',
      'count() > 1',
    ]);
  });
  it('leave hints apart', () => {
    expect(splitTraceQuery('{} | rate() with (sample=0.1)')).toEqual({
      stages: ['{}', 'rate()'],
      hints: 'with (sample=0.1)',
    });
    expect(withStage('{ .with = 1 } with(most_recent=true)', '{ status = error }')).toBe(
      '{ .with = 1 } | { status = error } with(most_recent=true)',
    );
  });
  it('of an unfinished text are none', () => {
    for (const text of ['{', '{ .a = "x }', '{} |', '} {', '({}', '']) expect(splitTraceQuery(text)).toBeNull();
  });
});

describe('metrics', () => {
  it('are told from searches', () => {
    expect(isMetricsQuery('{} | rate() by (status)')).toBe(true);
    expect(isMetricsQuery('{ .a = "| rate()" }')).toBe(false);
    expect(isMetricsQuery('({} | rate()) / ({} | rate())')).toBe(true);
    expect(isMetricsQuery('({} | count() > 2) && ({} | avg(duration) > 1s)')).toBe(false);
    expect(isMetricsQuery('{} | count_over_time() | topk(5)')).toBe(true);
  });
  it('are made of searches', () => {
    expect(metricOf('{ .a = 1 } >> {} | select(.b) with (most_recent=true)', 'rate()')).toBe(
      '{ .a = 1 } >> {} | rate()',
    );
  });
});

describe('conditions', () => {
  it('join a lone filter and follow anything else', () => {
    expect(addTraceCondition('{}', 'status = error')).toBe('{ status = error }');
    expect(addTraceCondition('{ .a = 1 && .b = 2 }', '.c = 3')).toBe('{ .a = 1 && .b = 2 && .c = 3 }');
    expect(addTraceCondition('{ .a = 1 || .b = 2 }', '.c = 3')).toBe('{ (.a = 1 || .b = 2) && .c = 3 }');
    expect(addTraceCondition('{ .a = 1 } | count() > 2', '.c = 3')).toBe('{ .a = 1 && .c = 3 } | count() > 2');
    expect(addTraceCondition('{ .a = 1 } >> { .b = 1 }', '.c = 3')).toBe('{ .a = 1 } >> { .b = 1 } | { .c = 3 }');
  });
  it('replace themselves and their opposite', () => {
    expect(addTraceCondition('{ .a = 1 && .b = 2 }', '.a != 1', '.a = 1')).toBe('{ .b = 2 && .a != 1 }');
  });
  it('are read at their own level only', () => {
    expect(conditionsOf('.a = "x && y" && (.b = 1 || .c = 2)')).toEqual(['.a = "x && y"', '(.b = 1 || .c = 2)']);
    expect(conditionsOf('.a = 1 || .b = 2')).toBeNull();
  });
  it('quote names that need it', () => {
    expect(attributeText('span', 'http.status_code')).toBe('span.http.status_code');
    expect(attributeText('', 'a b')).toBe('."a b"');
  });
});

describe('the scope', () => {
  it('goes into every filter', () => {
    const labels = [
      { name: 'cluster', values: ['dev-01', 'prod.01'] },
      { name: 'env', values: ['x'] },
    ];
    const inner = 'resource.k8s.cluster.name =~ "dev-01|prod\\\\.01" && .env = "x"';
    expect(narrowTraceql('{} >> { .a = 1 || .b = "}" } | rate()', labels)?.text).toBe(
      `{ ${inner} } >> { ${inner} && ( .a = 1 || .b = "}" )} | rate()`,
    );
    expect(narrowTraceql('{ .a', labels)).toBeNull();
  });
});

/** Where the shared data is beside the checkout. */
const EXPRESSIONS = new URL('../../../../shared/data/lezer-traceql/expression.txt', import.meta.url);

function expressions(): string[] {
  try {
    const text = readFileSync(EXPRESSIONS, 'utf8');
    return text.split(/^#.*$/m).flatMap((part) => {
      const query = part.split('==>')[0]?.trim();
      return query ? [query] : [];
    });
  } catch {
    return ['{ true } | by(.a) | count() > 2', '{ !("test" != .c || ((true && .b) || 3 < .a)) }'];
  }
}

it('every expression of the grammar splits, and takes a stage and a scope', () => {
  for (const query of expressions()) {
    expect(splitTraceQuery(query), query).not.toBeNull();
    const narrowed = narrowTraceql(query, [{ name: 'cluster', values: ['a'] }]);
    if (query.includes('{')) expect(splitTraceQuery(narrowed?.text ?? ''), query).not.toBeNull();
    expect(splitTraceQuery(withStage(query, 'rate()'))?.stages.at(-1), query).toBe('rate()');
  }
});
