import { expect, it } from 'vitest';
import { shapeHistogram } from './histogram';

const series = (labels: Record<string, string>, times: number[], values: number[]) => ({ labels, times, values });

it('makes one bar of the spellings of a level, beginning where the step begins', () => {
  const shaped = shapeHistogram(
    [
      series({ level: 'error' }, [10, 20], [1, 2]),
      series({ level: 'ERR' }, [20], [5]),
      series({ level: 'info' }, [10], [7]),
    ],
    10,
  );
  expect(shaped.columns).toEqual([
    [0, 10],
    [1, 7],
    [7, null],
  ]);
  expect(shaped.total).toBe(15);
  expect(shaped.levels).toEqual([
    { level: 'error', total: 8, filter: { label: 'level', values: ['ERR', 'error'] } },
    { level: 'info', total: 7, filter: { label: 'level', values: ['info'] } },
  ]);
});

it('offers no filter where no label or several tell the level', () => {
  const shaped = shapeHistogram(
    [series({}, [10], [1]), series({ level: 'warn' }, [10], [1]), series({ severity_text: 'WARN' }, [10], [1])],
    10,
  );
  expect(shaped.levels.map((one) => [one.level, one.filter])).toEqual([
    ['warn', null],
    ['unknown', null],
  ]);
});
