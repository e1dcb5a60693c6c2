/** Names, colours and last values. At most as many rows as the chart draws series, which is capped by its page. */
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

export function Legend({ names, colours, columns, unit, solo, onFocus, onSolo }: Props) {
  return (
    <ul className="legend" aria-label="Series" onMouseLeave={() => onFocus(undefined)}>
      {names.map((name, i) => {
        const s = summarise(columns[i + 1] ?? []);
        return (
          <li key={name} onMouseEnter={() => onFocus(i)}>
            <button
              type="button"
              aria-pressed={solo === i}
              title={`${name}\nClick: this series alone`}
              onClick={() => onSolo(solo === i ? undefined : i)}
            >
              <span className="swatch" style={{ background: colours[i] }} />
              <span className="clip grow">{name}</span>
              <span className="num">{s ? formatValue(s.last, unit) : '–'}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
