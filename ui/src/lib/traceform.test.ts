import { describe, expect, it } from 'vitest';
import { EMPTY_FORM, fromOldSearch, readForm, tagConditions, writeForm } from './traceform';

describe('a form', () => {
  it('is written as one filter and read back from it', () => {
    const form = {
      ...EMPTY_FORM,
      service: 'check "out"',
      operation: 'GET /cart',
      kind: 'server',
      status: 'error',
      min: '100ms',
      max: '2s',
      roots: true,
      tags: 'http.status_code>=500 resource.region="a b" span.user.id="42" ok=true',
    };
    const query = writeForm(form);
    expect(query).toBe(
      '{ resource.service.name = "check \\"out\\"" && name = "GET /cart" && kind = server && status = error && ' +
        'duration >= 100ms && duration <= 2s && nestedSetParent < 0 && .http.status_code >= 500 && ' +
        'resource.region = "a b" && span.user.id = "42" && .ok = true }',
    );
    expect(readForm(query)).toEqual(form);
    expect(writeForm(readForm(query) ?? EMPTY_FORM)).toBe(query);
  });
  it('without anything finds every span', () => {
    expect(writeForm(EMPTY_FORM)).toBe('{}');
    expect(readForm('{ }')).toEqual(EMPTY_FORM);
  });
  it('keeps whether a bound counts itself', () => {
    expect(writeForm(readForm('{ duration > 1s && duration < 1m30s }') ?? EMPTY_FORM)).toBe(
      '{ duration > 1s && duration < 1m30s }',
    );
  });
  it('leaves what it cannot hold alone', () => {
    for (const query of [
      '{ .a = 1 || .b = 2 }',
      '{} >> {}',
      '{} | count() > 2',
      '{ kind = server && kind = client }',
      '{ resource.service.name =~ "a.*" }',
      '{ duration > 1s && duration > 2s }',
      '{ .a = .b }',
      '{ !(.a = 1) }',
      '{ ."a b" = 1 }',
      '{ .span.x = 1 }',
      '{} with (most_recent=true)',
      '{ .a',
    ]) {
      expect(readForm(query), query).toBeNull();
    }
  });
});

describe('tags', () => {
  it('tell numbers from text', () => {
    expect(tagConditions('a=1 b="1" c=x d!=-2.5 e=~x.* error=true f>1.5s')).toEqual([
      '.a = 1',
      '.b = "1"',
      '.c = "x"',
      '.d != -2.5',
      '.e =~ "x.*"',
      'status = error',
      '.f > 1.5s',
    ]);
  });
  it('that are no pairs are refused', () => {
    for (const text of ['a', 'a=', '=b', 'a="x', 'a=b c']) expect(tagConditions(text), text).toBeNull();
  });
});

it('an old address becomes a query', () => {
  expect(fromOldSearch({ service: 'a', tags: 'error=true', min: '1s', max: 'x' })).toBe(
    '{ resource.service.name = "a" && duration >= 1s && status = error }',
  );
  expect(fromOldSearch({})).toBeNull();
});
