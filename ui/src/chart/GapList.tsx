/** The legend of hatches: which source lacks what, and why. */
import type { Gap } from '../lib/gaps';
import { holesText } from '../lib/gaps';
import type { Range, Zone } from '../lib/time';

/** Entries before the rest is counted; the badge lists all of them. */
const NAMED = 6;

export function GapList({ gaps, range, zone }: { gaps: readonly Gap[]; range: Range; zone: Zone }) {
  if (gaps.length === 0) return null;
  return (
    <ul className="gapList" aria-label="Not in this picture">
      {gaps.slice(0, NAMED).map((gap) => (
        <li key={`${gap.name} ${gap.signal}`} title={gap.reason || undefined}>
          <span className={`gapSwatch ${gap.state}`} aria-hidden="true" />
          <span>
            <strong>{gap.name}</strong> {gap.state}: {holesText(gap.holes, range, zone)}
            {gap.reason ? <span className="faint"> ({gap.reason})</span> : null}
          </span>
        </li>
      ))}
      {gaps.length > NAMED ? <li className="soft">and {gaps.length - NAMED} more, in the coverage badge</li> : null}
    </ul>
  );
}
