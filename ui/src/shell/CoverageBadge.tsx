/** How complete the answers on this page are: a badge that is always there, and a banner when something is missing. */
import { Popover } from '@mantine/core';
import { type Coverage, coverageName, worstState } from '../api/coverage';
import { formatDateTime } from '../lib/timeformat';
import { usePageCoverage } from '../state/answers';
import { useView } from '../state/view';
import { OkIcon, WarnIcon } from './icons';

const WORDS = {
  complete: 'Complete',
  late: 'Late',
  partial: 'Partial',
  missing: 'Missing',
  unknown: 'No data yet',
} as const;
const TONES = { complete: 'good', late: 'warn', partial: 'warn', missing: 'bad', unknown: '' } as const;

export function CoverageBadge() {
  const rows = usePageCoverage();
  const state = worstState(rows);
  return (
    <Popover position="bottom-end" width={560} trapFocus>
      <Popover.Target>
        <button
          type="button"
          className={`btn coverage ${TONES[state]}`}
          aria-label={`Coverage: ${WORDS[state]}`}
          data-state={state}
        >
          {state === 'complete' ? <OkIcon /> : <WarnIcon />}
          {WORDS[state]}
        </button>
      </Popover.Target>
      <Popover.Dropdown p="xs">
        <h2>Coverage of this page</h2>
        {rows.length === 0 ? (
          <p className="soft">No answer on this page has said yet what it covers.</p>
        ) : (
          <CoverageTable rows={rows} />
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

export function CoverageTable({ rows }: { rows: readonly Coverage[] }) {
  const { zone } = useView();
  return (
    <div className="coverageTable">
      <table className="grid">
        <thead>
          <tr>
            <th scope="col">Cluster</th>
            <th scope="col">Signal</th>
            <th scope="col">State</th>
            <th scope="col">Complete up to</th>
            <th scope="col">Reason</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, 200).map((row) => (
            <tr key={`${coverageName(row)} ${row.signal}`}>
              <td>{coverageName(row)}</td>
              <td>{row.signal || 'all'}</td>
              <td>
                <span className={`tag ${TONES[row.state]}`}>{row.state}</span>
              </td>
              <td className="data">{row.watermark === null ? '–' : formatDateTime(row.watermark * 1e3, zone)}</td>
              <td className="coverageReason">{row.reason || '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Names in a banner before it says "and N more". */
const NAMED = 6;

export function CoverageBanner() {
  const lacking = usePageCoverage().filter((row) => row.state !== 'complete');
  if (lacking.length === 0) return null;
  const named = lacking.slice(0, NAMED).map((row) => {
    const signal = row.signal ? ` ${row.signal}` : '';
    return `${coverageName(row)}${signal} ${row.state}${row.reason ? ` (${row.reason})` : ''}`;
  });
  const more = lacking.length - named.length;
  return (
    <div className="coverageBanner" role="status">
      <WarnIcon />
      <span>
        <strong>Not everything is here.</strong> {named.join('; ')}
        {more > 0 ? `; and ${more} more` : ''}.
      </span>
    </div>
  );
}
