import { describe, expect, it } from 'vitest';
import { assignSlots, SLOTS } from './colour';

describe('colours', () => {
  it('are the same whatever the order and distinct while there are enough', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const slots = assignSlots(names);
    expect(assignSlots([...names].reverse())).toEqual(slots);
    expect(new Set(slots.values()).size).toBe(names.length);
  });

  it('start again when there are more names than colours', () => {
    expect(assignSlots(Array.from({ length: SLOTS * 3 }, (_, i) => String(i))).size).toBe(SLOTS * 3);
  });
});
