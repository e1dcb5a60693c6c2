/** How complete the answers on this page are: a badge that is always there, and a banner when something is missing. */
import { Popover } from '@mantine/core';
import { coverageName, worstState } from '../api/coverage';
import { usePageCoverage } from '../state/answers';
import { CoverageTable, TONES } from './CoverageTable';
import { OkIcon, WarnIcon } from './icons';

const WORDS = {
  complete: 'Complete',
  late: 'Late',
  partial: 'Partial',
  missing: 'Missing',
  unknown: 'No data yet',
} as const;

/** What the state of the whole page means for its numbers. */
const SAYS = {
  complete: 'Everybody who was asked answered for the whole range, as far as retention reaches.',
  late: 'Everybody answered, but some of the newest data has not arrived where it is kept.',
  partial: 'Some sources answered for a part only: sums and counts are too low there, charts are hatched.',
  missing: 'Some sources did not answer: what they hold is in none of the numbers here, charts are hatched.',
  unknown: 'No answer on this page has said yet what it covers.',
} as const;

export function CoverageBadge() {
  const rows = usePageCoverage();
  const state = worstState(rows);
  return (
    <Popover position="bottom-end" width="min(860px, 96vw)" trapFocus>
      <Popover.Target>
        <button
          type="button"
          className={`btn coverage ${TONES[state]}`}
          aria-label={`Coverage: ${WORDS[state]}`}
          data-state={state}
        >
          {state === 'complete' ? <OkIcon /> : <WarnIcon />}
          <span className="coverageWord">{WORDS[state]}</span>
        </button>
      </Popover.Target>
      <Popover.Dropdown p="xs">
        <h2>Coverage of this page</h2>
        <p className="soft coverageSays">{SAYS[state]}</p>
        {rows.length === 0 ? null : <CoverageTable rows={rows} />}
      </Popover.Dropdown>
    </Popover>
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
