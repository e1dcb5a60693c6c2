import { describe, expect, it } from 'vitest';
import { adviceFor } from './coverage';

describe('advice on an incomplete answer', () => {
  it('follows the reason where it is a known one', () => {
    expect(adviceFor({ state: 'missing', reason: 'connection refused' })).toContain('listens');
    expect(adviceFor({ state: 'missing', reason: 'no answer within 10 s' })).toContain('in time');
    expect(
      adviceFor({ state: 'missing', reason: 'the certificate of x:9495 is signed by an unknown authority' }),
    ).toContain('orrery certs check');
  });

  it('falls back on the state, and has none for what is complete', () => {
    expect(adviceFor({ state: 'late', reason: '' })).toContain('lag');
    expect(adviceFor({ state: 'partial', reason: 'something new' })).toContain('narrow');
    expect(adviceFor({ state: 'complete', reason: 'replica b was not there' })).toBe('');
  });
});
