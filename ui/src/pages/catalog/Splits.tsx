/** The labels of a metric: one click splits the graph by it, another keeps one of its values only. */
import type { Analysis } from '../../lib/cardinality';
import type { Matcher } from '../../lib/promtext';
import { formatCount } from '../../lib/units';
import { CloseIcon } from '../../shell/icons';

interface Props {
  analysis: Analysis;
  /** More series exist than were read: counts of values are at least this. */
  truncated: boolean;
  by: string | undefined;
  matchers: readonly Matcher[];
  onSplit: (label: string | undefined) => void;
  onNarrow: (matcher: Matcher) => void;
  onWiden: (matcher: Matcher) => void;
}

/** Values offered for one label; more are found on the cardinality page. */
const VALUES = 24;

export function Splits({ analysis, truncated, by, matchers, onSplit, onNarrow, onWiden }: Props) {
  // The bounds of buckets are the value axis, not a way to tell series apart.
  const labels = analysis.labels.filter((one) => one.name !== 'le');
  const most = truncated ? '+' : '';
  const values = by ? analysis.pairs.filter((pair) => pair.name === by) : [];
  return (
    <>
      <div className="splits" role="group" aria-label="Split by label">
        <h3>Split by</h3>
        {labels.length === 0 ? <span className="soft">no labels</span> : null}
        {labels.map((one) => (
          <button
            key={one.name}
            type="button"
            className="btn"
            aria-pressed={by === one.name}
            disabled={one.values < 2 && by !== one.name}
            title={one.values < 2 ? 'All series have the same value' : undefined}
            onClick={() => onSplit(by === one.name ? undefined : one.name)}
          >
            {one.name}{' '}
            <span className="num faint">
              {formatCount(one.values)}
              {most}
            </span>
          </button>
        ))}
      </div>
      {matchers.length > 0 || values.length > 0 ? (
        <div className="splitValues" role="group" aria-label="Values">
          {matchers.map((one) => (
            <button
              key={`${one.name}${one.op}${one.value}`}
              type="button"
              className="btn"
              aria-pressed
              aria-label={`No longer ${one.name}${one.op}"${one.value}"`}
              onClick={() => onWiden(one)}
            >
              <span className="clip">
                {one.name}
                {one.op}"{one.value}"
              </span>
              <CloseIcon />
            </button>
          ))}
          {values.slice(0, VALUES).map((pair) => (
            <button
              key={pair.value}
              type="button"
              className="btn"
              title={`Only ${pair.name}="${pair.value}"`}
              onClick={() => onNarrow({ name: pair.name, op: '=', value: pair.value })}
            >
              <span className="clip">{pair.value || '(empty)'}</span>
              <span className="faint">{formatCount(pair.count)}</span>
            </button>
          ))}
          {values.length > VALUES ? (
            <span className="soft">and {formatCount(values.length - VALUES)} more values</span>
          ) : null}
        </div>
      ) : null}
    </>
  );
}
