import { describe, expect, it } from 'vitest';
import { nsToMs } from '../api/loki';
import { readDetectedFields, readDetectedLabels, readPatterns } from '../api/logfields';
import { countFields, fieldKey, levelOfLine, listFields, originOf, rankValues, readFieldKey, valueOf } from './fields';
import { commonType, parseLine, typeOf } from './linefields';

const line = (text: string, labels: Record<string, string> = {}) => ({ ns: '1', ms: nsToMs('1'), line: text, labels });
const streams = new Set(['job']);

describe('fields in a line', () => {
  it('are found in JSON under the names that LogQL gives them', () => {
    const { parser, fields } = parseLine('{"a":1,"b-c":{"d":"x","e":[1]},"9z":true,"n":null}');
    expect(parser).toBe('json');
    expect(Object.fromEntries(fields)).toEqual({ a: '1', b_c_d: 'x', _9z: 'true' });
  });

  it('are found in logfmt, quoted or not', () => {
    const { parser, fields } = parseLine('level=info msg="a \\"b\\" c" took=12ms empty=');
    expect(parser).toBe('logfmt');
    expect(Object.fromEntries(fields)).toEqual({ level: 'info', msg: 'a "b" c', took: '12ms', empty: '' });
  });

  it('are not read into sentences or broken JSON', () => {
    expect(parseLine('we set x=1 today').parser).toBeNull();
    expect(parseLine('{"a":').parser).toBeNull();
    expect(parseLine(`{"a":"${'x'.repeat(70_000)}"}`).parser).toBeNull();
  });

  it('are bounded in number and depth', () => {
    const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i])));
    expect(parseLine(wide).fields.size).toBe(200);
    const deep = '{"a":'.repeat(3000) + '1' + '}'.repeat(3000);
    expect(parseLine(deep).fields.size).toBeLessThanOrEqual(1);
  });

  it('have a type', () => {
    expect(['12', '-1.5', 'true', '1h30m', '12.5MiB', '10.1.2.3', ''].map(typeOf)).toEqual([
      'int',
      'float',
      'boolean',
      'duration',
      'bytes',
      'string',
      'string',
    ]);
    expect(commonType(['1', '2.5'])).toBe('float');
    expect(commonType(['1', 'x'])).toBe('string');
    expect(commonType([])).toBe('string');
  });
});

describe('a field', () => {
  it('has a key that says how to find it', () => {
    expect(fieldKey({ name: 'a', origin: 'json' })).toBe('json:a');
    expect(readFieldKey('logfmt:a')).toEqual({ name: 'a', parser: 'logfmt' });
    expect(readFieldKey('a')).toEqual({ name: 'a', parser: null });
    expect([originOf('job', streams), originOf('x', streams), originOf('json:x', streams)]).toEqual([
      'stream',
      'meta',
      'json',
    ]);
  });

  it('of one line comes from its labels or from its text', () => {
    expect(valueOf(line('{"n":5}', { job: 'x' }), 'job')).toBe('x');
    expect(valueOf(line('{"n":5}'), 'json:n')).toBe('5');
    expect(valueOf(line('{"n":5}'), 'logfmt:n')).toBeUndefined();
    expect(valueOf(line('n=5 m=6', { n: '7' }), 'logfmt:n')).toBe('7');
  });
});

it('knows how bad a line is by what was sent with it, else by what stands in it', () => {
  expect(levelOfLine(line('level=error msg="x"', { level: 'info' }))).toBe('info');
  expect(levelOfLine(line('{"severity":"WARNING"}'))).toBe('warn');
  expect(levelOfLine(line('lvl=dbg msg=x'))).toBe('debug');
  expect(levelOfLine(line('an error'))).toBe('unknown');
});

it('counts the values of the lines that are here, most frequent first', () => {
  const counted = countFields(
    [line('', { job: 'x' }), line('n=1 m=2', { job: 'y', t: '1' }), line('n=1 m=3', { job: 'y' })],
    streams,
  );
  expect([...counted.keys()]).toEqual(['job', 't', 'logfmt:n', 'logfmt:m']);
  expect(rankValues(counted.get('job')?.values ?? new Map(), 1)).toEqual([{ value: 'y', count: 2 }]);
});

describe('the list of fields', () => {
  const counted = countFields([line('n=1 m=2', { job: 'y', t: '1' })], streams);

  it('believes the node, and adds what only the lines show', () => {
    const list = listFields({
      streamLabels: ['job', '__x__'],
      labelCounts: new Map([['job', 40]]),
      detected: [
        { name: 'job', type: 'string', distinct: 1, parser: null },
        { name: 'n', type: 'float', distinct: 7, parser: 'logfmt' },
      ],
      counted,
    });
    expect(list.map((one) => [fieldKey(one), one.type, one.distinct, one.counted])).toEqual([
      ['job', 'string', 40, 'range'],
      ['t', 'int', 1, 'loaded'],
      ['logfmt:m', 'int', 1, 'loaded'],
      ['logfmt:n', 'float', 7, 'newest'],
    ]);
  });

  it('makes do with the lines where the node does not know', () => {
    const list = listFields({ streamLabels: ['job'], labelCounts: null, detected: null, counted });
    expect(list.map((one) => [one.name, one.distinct, one.counted])).toEqual([
      ['job', 1, 'loaded'],
      ['t', 1, 'loaded'],
      ['m', 1, 'loaded'],
      ['n', 1, 'loaded'],
    ]);
  });
});

describe('answers about fields', () => {
  it('are read as Loki writes them', () => {
    const fields = [
      { label: 'a', type: 'int', cardinality: 3, parsers: ['json'], jsonPath: ['a'] },
      { label: 'b', type: 'odd', cardinality: 1, parsers: null },
    ];
    expect(readDetectedFields({ fields, limit: 100 })).toEqual([
      { name: 'a', type: 'int', distinct: 3, parser: 'json' },
      { name: 'b', type: 'string', distinct: 1, parser: null },
    ]);
    expect(readDetectedLabels({ detectedLabels: [{ label: 'x', cardinality: 9 }] })).toEqual(new Map([['x', 9]]));
    const data = [{ pattern: 'a <_>', level: 'unknown', samples: [[10, 2], ['x', 1]] }]; // prettier-ignore
    expect(readPatterns({ status: 'success', data })).toEqual([{ pattern: 'a <_>', level: '', samples: [[10, 2]] }]);
  });

  it('of another shape are no fields, not a broken page', () => {
    for (const body of [null, 5, 'x', [], {}, { fields: 7 }, { fields: [null, 3, {}] }, { data: { fields: null } }]) {
      expect(readDetectedFields(body)).toEqual([]);
      expect(readPatterns(body)).toEqual([]);
      expect(readDetectedLabels(body).size).toBe(0);
    }
  });
});
