import { describe, expect, it } from 'vitest';
import { readAnsi } from './ansi';

const ESC = '\u001b';

describe('terminal text', () => {
  it('turns colours into ranges of plain text', () => {
    expect(readAnsi(`${ESC}[31mred${ESC}[0m and ${ESC}[1;32mgreen${ESC}[m`)).toEqual({
      plain: 'red and green',
      styles: [
        { from: 0, to: 3, style: 'ansi-red' },
        { from: 8, to: 13, style: 'ansi-green ansi-bold' },
      ],
    });
  });

  it('knows the colours by number and by their parts', () => {
    expect(readAnsi(`${ESC}[38;5;196mx`).styles).toEqual([{ from: 0, to: 1, style: 'ansi-red' }]);
    expect(readAnsi(`${ESC}[38;2;10;200;220mx`).styles).toEqual([{ from: 0, to: 1, style: 'ansi-cyan' }]);
    expect(readAnsi(`${ESC}[38;5;240mx`).styles).toEqual([]);
    expect(readAnsi(`${ESC}[48;5;1;4mx`).styles).toEqual([{ from: 0, to: 1, style: 'ansi-underline' }]);
  });

  it('lets nothing else through that steers a terminal', () => {
    expect(readAnsi(`a${ESC}[2J${ESC}[10;20Hb${ESC}]0;title\u0007c${ESC}]8;;http://x${ESC}\\d${ESC}`).plain).toBe(
      'abcd',
    );
    expect(readAnsi('a\u0000b\u0007\rc\td\ne').plain).toBe('a\u2400b\u2407\u240dc\td\ne');
  });

  it('shows what would turn the direction of writing', () => {
    expect(readAnsi('abc\u202edef\u2066').plain).toBe('abc\ufffddef\ufffd');
  });

  it('survives any sequence of bytes', () => {
    let seed = 7;
    const next = () => (seed = (seed * 1103515245 + 12345) % 2147483648);
    for (let round = 0; round < 300; round += 1) {
      const text = Array.from({ length: 60 }, () => '\u001b[;m013]\\a \u0007\u009b'.charAt(next() % 16)).join('');
      const { plain, styles } = readAnsi(text);
      expect(plain).not.toMatch(/[\u001b\u009b\u0007]/);
      for (const { from, to } of styles) expect(from < to && to <= plain.length).toBe(true);
    }
  });
});
