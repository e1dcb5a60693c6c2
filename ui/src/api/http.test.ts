import { describe, expect, it } from 'vitest';
import { findPosition, readError } from './http';

describe('errors', () => {
  it('keep the words of Prometheus, Jaeger and Loki', () => {
    expect(readError(400, '{"status":"error","errorType":"bad_data","error":"1:5: parse error"}')).toMatchObject({
      message: '1:5: parse error',
      kind: 'bad_data',
      position: { line: 1, column: 5 },
    });
    expect(readError(404, '{"errors":[{"code":404,"msg":"trace not found"}]}').message).toBe('trace not found');
    expect(readError(400, 'parse error at line 2, col 9: unexpected }').position).toEqual({ line: 2, column: 9 });
    expect(readError(502, '').message).toContain('502');
  });

  it('have no position when the message names none', () => {
    expect(findPosition('too many samples: 12 of 10')).toBeNull();
  });
});
