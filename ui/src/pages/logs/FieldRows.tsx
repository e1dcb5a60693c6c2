/** The rows of the field sidebar. Plain elements only. */
import type { Counted, Field } from '../../lib/fields';
import type { FieldType } from '../../lib/linefields';
import { formatCount } from '../../lib/units';

export type Row =
  | { kind: 'head'; text: string; note: string }
  | { kind: 'field'; key: string; field: Field }
  | { kind: 'about'; key: string; name: string; note: string }
  | { kind: 'value'; key: string; name: string; value: string; count: number; share: number }
  | { kind: 'note'; text: string };

interface Props {
  row: Row;
  open: string | undefined;
  columns: readonly string[];
  split: string | undefined;
  onColumn: (key: string) => void;
  onOpen: (key: string | undefined) => void;
  onSplit: (key: string | undefined) => void;
  onFilter: (key: string, value: string, operator: '=' | '!=') => void;
}

export function SidebarRow({ row, open, columns, split, onColumn, onOpen, onSplit, onFilter }: Props) {
  switch (row.kind) {
    case 'head':
      return (
        <div className="fieldHead">
          <strong>{row.text}</strong>
          <span className="faint">{row.note}</span>
        </div>
      );
    case 'note':
      return <div className="fieldNote clip soft">{row.text}</div>;
    case 'field':
      return <FieldRow row={row} isOpen={row.key === open} onOpen={onOpen} />;
    case 'about':
      return (
        <div className="fieldAbout">
          <span className="clip grow faint" title={row.note}>
            {row.note}
          </span>
          <button
            type="button"
            aria-pressed={split === row.key}
            title={`Split the histogram by ${row.name}`}
            onClick={() => onSplit(split === row.key ? undefined : row.key)}
          >
            split
          </button>
          <button
            type="button"
            aria-pressed={columns.includes(row.key)}
            title={`Show ${row.name} as a column`}
            onClick={() => onColumn(row.key)}
          >
            column
          </button>
        </div>
      );
    case 'value':
      return (
        <div className="fieldValue" title={`${row.value || '(not set)'}: ${formatCount(row.count)} lines`}>
          <span className="fieldBar" style={{ width: `${Math.max(1, row.share * 100)}%` }} aria-hidden="true" />
          <span className={row.value ? 'clip grow' : 'clip grow faint'}>{row.value || '(not set)'}</span>
          <span className="faint num">{percent(row.share)}</span>
          <FilterButtons label={row.name} value={row.value} onFilter={(op) => onFilter(row.key, row.value, op)} />
        </div>
      );
  }
}

/** Rounding must not make something of nothing, nor all of most. */
function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 1) return '<1 %';
  if (value < 100 && value > 99) return '>99 %';
  return `${Math.round(value)} %`;
}

const TYPE_SIGNS: Record<FieldType, readonly [string, string]> = {
  string: ['t', 'text'],
  int: ['#', 'whole number'],
  float: ['.#', 'number'],
  boolean: ['?', 'true or false'],
  duration: ['◷', 'duration'],
  bytes: ['B', 'size in bytes'],
};

const OVER: Record<Counted, string> = {
  range: 'in the range',
  newest: 'in the newest lines of the range',
  loaded: 'in the loaded lines',
};

function FieldRow({ row, isOpen, onOpen }: { row: Row & { kind: 'field' }; isOpen: boolean; onOpen: Props['onOpen'] }) {
  const { name, type, distinct, counted } = row.field;
  const [sign, words] = TYPE_SIGNS[type];
  return (
    <div className="fieldRow" data-open={isOpen}>
      <button
        type="button"
        className="fieldName"
        aria-expanded={isOpen}
        onClick={() => onOpen(isOpen ? undefined : row.key)}
      >
        <span className={`fieldType ${type}`} title={words} aria-hidden="true">
          {sign}
        </span>
        <span className="clip grow">{name}</span>
        <span className="srOnly">, {words}</span>
        {distinct ? (
          <span className="faint num" title={`${formatCount(distinct)} values ${OVER[counted]}`}>
            {counted === 'range' ? '' : '~'}
            {formatCount(distinct)}
          </span>
        ) : null}
      </button>
    </div>
  );
}

interface FilterProps {
  label: string;
  value: string;
  onFilter: (operator: '=' | '!=') => void;
}

export function FilterButtons({ label, value, onFilter }: FilterProps) {
  return (
    <span className="filterButtons">
      <button
        type="button"
        aria-label={`Only ${label} = ${value}`}
        title="Only this value"
        onClick={() => onFilter('=')}
      >
        +
      </button>
      <button
        type="button"
        aria-label={`Without ${label} = ${value}`}
        title="Without this value"
        onClick={() => onFilter('!=')}
      >
        −
      </button>
    </span>
  );
}
