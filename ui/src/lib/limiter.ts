/**
 * Bounded concurrency for requests that rows in sight start and rows out of sight no longer want.
 * Tasks start in the order they came; what nobody waits for any more leaves the line at once.
 */
export interface Limiter {
  run: <T>(signal: AbortSignal, task: () => Promise<T>) => Promise<T>;
  /** Tasks under way and tasks waiting, for tests and for saying so. */
  load: () => { running: number; waiting: number };
}

interface Waiting {
  signal: AbortSignal;
  start: () => void;
}

export function createLimiter(most: number): Limiter {
  const waiting: Waiting[] = [];
  let running = 0;
  const next = () => {
    while (running < most) {
      const task = waiting.shift();
      if (!task) return;
      if (task.signal.aborted) continue;
      running += 1;
      task.start();
    }
  };
  const run = <T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (signal.aborted) {
        reject(abortError(signal));
        return;
      }
      const entry: Waiting = {
        signal,
        start: () => {
          signal.removeEventListener('abort', leave);
          const done = () => {
            running -= 1;
            next();
          };
          task().then(
            (value) => {
              done();
              resolve(value);
            },
            (error: unknown) => {
              done();
              reject(error instanceof Error ? error : new Error(String(error)));
            },
          );
        },
      };
      const leave = () => {
        const at = waiting.indexOf(entry);
        if (at >= 0) waiting.splice(at, 1);
        reject(abortError(signal));
      };
      signal.addEventListener('abort', leave, { once: true });
      waiting.push(entry);
      next();
    });
  return { run, load: () => ({ running, waiting: waiting.length }) };
}

function abortError(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new DOMException('no longer wanted', 'AbortError');
}
