import { describe, expect, it } from 'vitest';
import { createLimiter } from './limiter';

const settle = () => new Promise<void>((resolve) => queueMicrotask(() => queueMicrotask(resolve)));

describe('the limiter', () => {
  const open = () => {
    const ends: (() => void)[] = [];
    const started: string[] = [];
    const task = (name: string) => () => {
      started.push(name);
      return new Promise<string>((resolve) => ends.push(() => resolve(name)));
    };
    return { ends, started, task };
  };
  const wanted = () => new AbortController().signal;

  it('starts no more than it may, in the order they came', async () => {
    const { ends, started, task } = open();
    const limiter = createLimiter(1);
    const all = ['a', 'b', 'c'].map((name) => limiter.run(wanted(), task(name)));
    expect(started).toEqual(['a']);
    expect(limiter.load()).toEqual({ running: 1, waiting: 2 });
    for (let i = 0; i < 3; i += 1) {
      ends[i]?.();
      await all[i];
    }
    expect(started).toEqual(['a', 'b', 'c']);
    expect(limiter.load()).toEqual({ running: 0, waiting: 0 });
  });

  it('never starts what left the screen while it waited', async () => {
    const { ends, started, task } = open();
    const limiter = createLimiter(1);
    const first = limiter.run(wanted(), task('a'));
    const gone = new AbortController();
    const second = limiter.run(gone.signal, task('b'));
    gone.abort();
    await expect(second).rejects.toThrow();
    ends[0]?.();
    await first;
    await settle();
    expect(started).toEqual(['a']);
    await expect(limiter.run(gone.signal, task('c'))).rejects.toThrow();
  });

  it('gives the place of a failed task to the next', async () => {
    const limiter = createLimiter(1);
    await expect(limiter.run(wanted(), () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
    await expect(limiter.run(wanted(), () => Promise.resolve(5))).resolves.toBe(5);
  });
});
