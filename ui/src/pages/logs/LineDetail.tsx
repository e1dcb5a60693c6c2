/** One line opened: the whole text, every field with filters, the way to its trace. */
import { Link } from '@tanstack/react-router';
import type { LogLine } from '../../api/loki';
import { traceIdOf } from '../../lib/loglines';
import type { Zone } from '../../lib/time';
import { formatDateTimeMs } from '../../lib/timeformat';
import type { CommonSearch } from '../../state/search';
import { pickCommon } from '../../state/view';
import { FilterButtons } from './FieldSidebar';

interface Props {
  line: LogLine;
  zone: Zone;
  streamLabels: ReadonlySet<string>;
  onFilter: (label: string, value: string, operator: '=' | '!=', isStream: boolean) => void;
}

/** Fields beyond this are in the copied JSON only. */
const SHOWN_FIELDS = 120;

export function LineDetail({ line, zone, streamLabels, onFilter }: Props) {
  const fields = Object.entries(line.labels).sort(
    ([a], [b]) => Number(streamLabels.has(b)) - Number(streamLabels.has(a)) || a.localeCompare(b),
  );
  const traceId = traceIdOf(line);
  const copy = () =>
    void navigator.clipboard?.writeText(
      JSON.stringify(
        { time: new Date(line.ms).toISOString(), ns: line.ns, line: line.line, fields: line.labels },
        null,
        2,
      ),
    );
  return (
    <div className="lineDetail">
      <div className="row">
        <span className="data soft">
          {formatDateTimeMs(line.ms, zone)} ({line.ns})
        </span>
        <span className="grow" />
        {traceId ? (
          <Link
            to="/trace/$id"
            params={{ id: traceId }}
            search={(before: CommonSearch) => pickCommon(before)}
            className="btn"
          >
            Open trace
          </Link>
        ) : null}
        <button type="button" className="btn" onClick={copy}>
          Copy as JSON
        </button>
      </div>
      <pre className="lineWhole">{pretty(line.line)}</pre>
      <table className="grid lineFields">
        <thead className="srOnly">
          <tr>
            <th scope="col">Filter</th>
            <th scope="col">Field</th>
            <th scope="col">Value</th>
            <th scope="col">Kind</th>
          </tr>
        </thead>
        <tbody>
          {fields.slice(0, SHOWN_FIELDS).map(([name, value]) => (
            <tr key={name}>
              <td>
                <FilterButtons
                  label={name}
                  value={value}
                  onFilter={(operator) => onFilter(name, value, operator, streamLabels.has(name))}
                />
              </td>
              <td className="data soft">{name}</td>
              <td className="data lineFieldValue">{value}</td>
              <td>
                <span className="tag">{streamLabels.has(name) ? 'stream' : 'field'}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {fields.length > SHOWN_FIELDS ? (
        <p className="soft">
          Showing {SHOWN_FIELDS} of {fields.length} fields; the copy has all.
        </p>
      ) : null}
    </div>
  );
}

/** JSON lines are laid out; anything else stays as it was sent. */
function pretty(text: string): string {
  if (!/^\s*[{[]/.test(text) || text.length > 200_000) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
