import { describe, expect, it } from 'vitest';
import { addressText, withoutSecrets } from './addresses';

describe('addresses', () => {
  it('are shown without what may be secret', () => {
    expect(addressText('https://dev-01:secret@hub.example.com:4317/v1?token=x#y')).toBe(
      'https://hub.example.com:4317/v1',
    );
    expect(addressText('http://hub:4317')).toBe('http://hub:4317');
    expect(addressText('not a url')).toBe('not a url');
  });

  it('are cut inside of texts', () => {
    expect(withoutSecrets('asking http://dev-01:secret@10.0.0.7:9090/write?key=x: Connection refused')).toBe(
      'asking http://10.0.0.7:9090/write: Connection refused',
    );
    expect(withoutSecrets('asking "https://hub", then nothing')).toBe('asking "https://hub", then nothing');
    expect(withoutSecrets('Unavailable tcp connect error')).toBe('Unavailable tcp connect error');
  });
});
