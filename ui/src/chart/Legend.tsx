/** The series of a chart with what they range over; hovering brings one forward, a click shows it alone. */
import { useMemo } from 'react';
import { VirtualTable } from '../parts/VirtualTable';
import { type Columns, summarise } from '../lib/series';
import { formatValue, type Unit } from '../lib/units';

interface Props {
  names: readonly string[];
  colours: readonly string[];
  columns: Columns;
  unit: Unit;
  solo?: number | undefined;
  onFocus: (index: number | undefined) => void;
  onSolo: (index: number | undefined) => void;
}

const NUMBERS = ['min', 'mean', 'max', 'last'] as const;
const HEADER = [
  { key: 'series', title: 'Series', width: 'minmax(180px, 1fr)' },
  ...NUMBERS.map((key) => ({
    key,
    title: `${key.charAt(0).toUpperCase()}${key.slice(1)}`,
    width: '84px',
    align: 'right' as const,
  })),
];
const HEIGHT = 148;

export function Legend({ names, colours, columns, unit, solo, onFocus, onSolo }: Props) {
  const summaries = useMemo(() => columns.slice(1).map(summarise), [columns]);
  return (
    <div className="legend">
      <VirtualTable
        label="Series"
        columns={HEADER}
        count={names.length}
        height={HEIGHT}
        current={solo}
        onHover={onFocus}
        cell={(row, column) => {
          const number = NUMBERS[column - 1];
          if (number !== undefined) {
            const value = summaries[row]?.[number];
            return value === undefined ? '–' : formatValue(value, unit);
          }
          return (
            <button
              type="button"
              className="legendName"
              aria-pressed={solo === row}
              title={`${names[row] ?? ''}\nClick: this series alone`}
              onClick={() => onSolo(solo === row ? undefined : row)}
            >
              <span className="swatch" style={{ background: colours[row] }} />
              <span className="clip">{names[row]}</span>
            </button>
          );
        }}
      />
    </div>
  );
}
