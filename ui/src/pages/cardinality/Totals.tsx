/** The size of the scope in a line of numbers. */
import type { TsdbStatus } from '../../api/tsdb';
import type { Analysis } from '../../lib/cardinality';
import { formatBytes, formatCount } from '../../lib/units';

interface Props {
  found: Analysis | undefined;
  status: TsdbStatus | null;
  truncated: boolean;
}

export function Totals({ found, status, truncated }: Props) {
  const least = truncated ? 'at least ' : '';
  const count = (value: number | undefined) => (value === undefined ? '–' : formatCount(value));
  const bytes = found?.labels.reduce((sum, one) => sum + one.bytes, 0);
  const items: [string, string, string][] = [
    ['Series', count(status?.series ?? found?.series), status ? 'as the store counts' : `${least}in this range`],
    ['Metrics', count(found?.metrics.length), `${least}in this range`],
    ['Labels', count(found?.labels.length), `${least}in this range`],
    [
      'Label pairs',
      count(status?.labelPairs || found?.pairs.length),
      status?.labelPairs ? 'as the store counts' : `${least}in this range`,
    ],
    ['Bytes in values', bytes === undefined ? '–' : formatBytes(bytes), 'values × series'],
  ];
  return (
    <section className="cardinalityTotals" aria-label="Totals">
      {items.map(([title, value, says]) => (
        <div key={title} className="panel cardinalityTotal">
          <h2>{title}</h2>
          <strong className="num">{value}</strong>
          <span className="soft">{says}</span>
        </div>
      ))}
    </section>
  );
}
