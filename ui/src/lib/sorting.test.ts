import { expect, it } from 'vitest';
import { nextSort, readSort, sortRows } from './sorting';

const KEYS = ['name', 'rate'];

it('the address names a column and a direction', () => {
  expect(readSort('-name', KEYS, '-rate')).toEqual({ key: 'name', isDescending: true });
  expect(readSort('nothing', KEYS, '-rate')).toEqual({ key: 'rate', isDescending: true });
  const now = readSort(undefined, KEYS, '-rate');
  expect(nextSort(now, 'rate', true, '-rate')).toBe('rate');
  expect(nextSort(now, 'name', false, '-rate')).toBe('name');
  expect(nextSort(readSort('rate', KEYS, '-rate'), 'rate', true, '-rate')).toBeUndefined();
});

it('rows without a value come last', () => {
  const rows = [{ rate: 1 }, { rate: null }, { rate: 3 }];
  const of = (row: { rate: number | null }) => row.rate;
  expect(sortRows(rows, { key: 'rate', isDescending: true }, of).map(of)).toEqual([3, 1, null]);
  expect(sortRows(rows, { key: 'rate', isDescending: false }, of).map(of)).toEqual([1, 3, null]);
});
