/** Who contributed what to the answers of a page: state, the covered part of the range, age, reason, what to do. */
import { Link } from '@tanstack/react-router';
import { type Coverage, coverageName } from '../api/coverage';
import { adviceFor } from '../lib/coverage';
import { coveredOf } from '../lib/gaps';
import type { Range, Zone } from '../lib/time';
import { formatDateTime, formatSpan } from '../lib/timeformat';
import type { CommonSearch } from '../state/search';
import { pickCommon, useView } from '../state/view';
import { OkIcon, WarnIcon } from './icons';

export const TONES = { complete: 'good', late: 'warn', partial: 'warn', missing: 'bad', unknown: '' } as const;

/** Rows that a person reads; past it the banner and the fleet page are the better way. */
const MOST = 200;

export function CoverageTable({ rows }: { rows: readonly Coverage[] }) {
  return (
    <div className="coverageTable" tabIndex={0} role="region" aria-label="Coverage by cluster">
      <table className="grid">
        <thead>
          <tr>
            <th scope="col">Cluster</th>
            <th scope="col">Signal</th>
            <th scope="col">State</th>
            <th scope="col">Of the range</th>
            <th scope="col">Complete up to</th>
            <th scope="col">Reason, and what to do</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MOST).map((row) => (
            <Row key={`${coverageName(row)} ${row.signal}`} row={row} />
          ))}
        </tbody>
      </table>
      {rows.length > MOST ? (
        <p className="soft">
          Showing {MOST} of {rows.length}.
        </p>
      ) : null}
    </div>
  );
}

function Row({ row }: { row: Coverage }) {
  const { zone, range, nowMs } = useView();
  const advice = adviceFor(row);
  const name = coverageName(row);
  return (
    <tr>
      <td>
        <Link
          to="/federation"
          search={(before: CommonSearch) => ({ ...pickCommon(before), peer: name })}
          title="This peer under Federation"
        >
          {name}
        </Link>
      </td>
      <td>{row.signal || 'all'}</td>
      <td>
        <span className={`tag coverageState ${TONES[row.state]}`}>
          {row.state === 'complete' ? <OkIcon /> : <WarnIcon />}
          {row.state}
        </span>
      </td>
      <td>
        <CoveredBar row={row} range={range} zone={zone} />
      </td>
      <td className="data" title={row.watermark === null ? undefined : formatDateTime(row.watermark * 1e3, zone)}>
        {row.watermark === null ? '–' : `${formatSpan(Math.max(0, nowMs / 1e3 - row.watermark))} ago`}
      </td>
      <td className="coverageReason">
        {row.reason || (advice ? '' : '–')}
        {advice ? <span className="soft">{row.reason ? ` – ${advice}` : advice}</span> : null}
      </td>
    </tr>
  );
}

/** The asked range as a bar: filled where the source has it, hatched where it has not. */
export function CoveredBar({ row, range, zone }: { row: Coverage; range: Range; zone: Zone }) {
  const covered = coveredOf(row, range);
  const whole = Math.max(1, range.toMs - range.fromMs);
  const share = covered.reduce((sum, one) => sum + one.toMs - one.fromMs, 0) / whole;
  // Rounding must not call a hole whole.
  const percent = share >= 1 ? 100 : Math.min(99, Math.floor(share * 100));
  const ends = covered
    .slice(0, 3)
    .map((one) => `${formatDateTime(one.fromMs, zone)} to ${formatDateTime(one.toMs, zone)}`);
  const text = `${percent} % of the range${share < 1 && ends.length > 0 ? `: ${ends.join(', ')}` : ''}`;
  return (
    <span className="coveredCell" title={text}>
      <span className="coveredBar" role="img" aria-label={text}>
        {covered.map((one) => (
          <span
            key={one.fromMs}
            className={`coveredPart ${TONES[row.state]}`}
            style={{
              left: `${((one.fromMs - range.fromMs) / whole) * 100}%`,
              width: `${((one.toMs - one.fromMs) / whole) * 100}%`,
            }}
          />
        ))}
      </span>
      <span className="num">{percent} %</span>
    </span>
  );
}
