import { expect, it } from 'vitest';
import { sparkPath } from './Sparkline';

it('draws a gap in a sparkline as a gap', () => {
  expect(sparkPath([0, null, 1], 100, 20).match(/M/g)).toHaveLength(2);
});
