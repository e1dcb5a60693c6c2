/** One line opened: the whole text, every field by its kind with filters and links, and the lines around it. */
import { Link, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import type { LogLine } from '../../api/loki';
import { fieldKey } from '../../lib/fields';
import { fieldsIn } from '../../lib/linefields';
import { isTraceField, linePieces, traceIdOf } from '../../lib/linetext';
import { lineToObject } from '../../lib/loglist';
import type { Order } from '../../lib/loglines';
import { formatDateTimeMs } from '../../lib/timeformat';
import type { CommonSearch } from '../../state/search';
import { pickCommon, usePatch, useView } from '../../state/view';
import { Around } from './Around';
import { FilterButtons } from './FieldRows';
import { TextPiece } from './LineRow';
import type { Logs } from './useLogs';

interface Props {
  line: LogLine;
  logs: Logs;
  order: Order;
}

/** Lines on either side to begin with. */
const AROUND = 10;

export function LineDetail({ line, logs, order }: Props) {
  const { zone } = useView();
  const search = useSearch({ from: '/logs' });
  const patch = usePatch();
  const [copied, setCopied] = useState(false);
  const traceId = traceIdOf(line);
  const copy = () => {
    setCopied(true);
    void navigator.clipboard?.writeText(JSON.stringify(lineToObject(line), null, 2));
  };
  return (
    <div className="lineDetail">
      <div className="row lineActions">
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
        <button
          type="button"
          className="btn"
          aria-pressed={search.around !== undefined}
          title="Lines of the same stream before and after (v a)"
          onClick={() => patch({ around: search.around === undefined ? AROUND : undefined }, 'replace')}
        >
          Surrounding lines
        </button>
        <button type="button" className="btn" onClick={copy}>
          {copied ? 'Copied' : 'Copy as JSON'}
        </button>
      </div>
      {search.around !== undefined ? (
        <Around line={line} logs={logs} count={search.around} order={order} />
      ) : (
        <WholeText text={line.line} logs={logs} />
      )}
      <Fields line={line} logs={logs} />
    </div>
  );
}

/** Characters drawn of one line; all of it is in the copy. */
const SHOWN_CHARS = 100_000;

function WholeText({ text, logs }: { text: string; logs: Logs }) {
  const laidOut = pretty(text);
  const shown = laidOut.slice(0, SHOWN_CHARS);
  return (
    <>
      <pre className="lineWhole" tabIndex={0} role="region" aria-label="The whole line">
        {linePieces(shown, logs.wanted).map((piece, i) => (
          <TextPiece key={i} piece={piece} />
        ))}
      </pre>
      {shown.length < laidOut.length ? (
        <p className="soft">The first {SHOWN_CHARS} characters; the copy has all of them.</p>
      ) : null}
    </>
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

interface Group {
  title: string;
  fields: { key: string; name: string; value: string }[];
}

/** Fields beyond this are in the copied JSON only. */
const SHOWN_FIELDS = 150;

function groupsOf(line: LogLine, streamLabels: ReadonlySet<string>): Group[] {
  const rows = (labels: Readonly<Record<string, string>>) =>
    Object.entries(labels)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, value]) => ({ key: name, name, value }));
  const isStream = ([name]: [string, string]) => streamLabels.has(name);
  const all = Object.entries(line.labels);
  const { parser, fields } = fieldsIn(line);
  const inLine = parser
    ? [...fields]
        .filter(([name]) => !(name in line.labels))
        .map(([name, value]) => ({ key: fieldKey({ name, origin: parser }), name, value }))
    : [];
  const given = line.parts
    ? [
        { title: 'Stream labels', fields: rows(line.parts.stream) },
        { title: 'Sent beside the line', fields: rows(line.parts.meta) },
        { title: 'Made by the query', fields: rows(line.parts.parsed) },
      ]
    : [
        { title: 'Stream labels', fields: rows(Object.fromEntries(all.filter(isStream))) },
        { title: 'Other fields', fields: rows(Object.fromEntries(all.filter((one) => !isStream(one)))) },
      ];
  return [...given, { title: `In the line (${parser ?? ''})`, fields: inLine }].filter((one) => one.fields.length > 0);
}

function Fields({ line, logs }: { line: LogLine; logs: Logs }) {
  const groups = groupsOf(line, logs.streamLabels);
  const total = groups.reduce((sum, group) => sum + group.fields.length, 0);
  let left = SHOWN_FIELDS;
  return (
    <>
      <table className="grid lineFields" aria-label="Fields of the line">
        <thead className="srOnly">
          <tr>
            <th scope="col">Filter</th>
            <th scope="col">Field</th>
            <th scope="col">Value</th>
          </tr>
        </thead>
        {groups.map(({ title, fields }) => {
          const shown = fields.slice(0, left);
          left -= shown.length;
          if (shown.length === 0) return null;
          return (
            <tbody key={title}>
              <tr className="lineFieldGroup">
                <th scope="rowgroup" colSpan={3}>
                  {title}
                </th>
              </tr>
              {shown.map(({ key, name, value }) => (
                <tr key={key}>
                  <td>
                    <FilterButtons label={name} value={value} onFilter={(op) => logs.onFilter(key, value, op)} />
                    <button
                      type="button"
                      className="fieldColumn"
                      aria-pressed={logs.columns.includes(key)}
                      aria-label={`Show ${name} as a column`}
                      title="Show as a column"
                      onClick={() => logs.onColumn(key)}
                    >
                      ▥
                    </button>
                  </td>
                  <td className="data soft">{name}</td>
                  <td className="data lineFieldValue">
                    <FieldValue name={name} value={value} />
                  </td>
                </tr>
              ))}
            </tbody>
          );
        })}
      </table>
      {total > SHOWN_FIELDS ? (
        <p className="soft">
          Showing {SHOWN_FIELDS} of {total} fields; the copy has all.
        </p>
      ) : null}
    </>
  );
}

/** Values that have a page of their own lead there. */
function FieldValue({ name, value }: { name: string; value: string }) {
  if (isTraceField(name, value)) {
    return (
      <Link to="/trace/$id" params={{ id: value.toLowerCase() }} search={(before: CommonSearch) => pickCommon(before)}>
        {value}
      </Link>
    );
  }
  if ((name === 'service_name' || name === 'service') && value !== 'unknown_service') {
    return (
      <>
        {value}
        <Link
          to="/traces"
          search={(before: CommonSearch) => ({ ...pickCommon(before), service: value })}
          className="fieldLink"
        >
          traces
        </Link>
        <Link
          to="/services/$name"
          params={{ name: value }}
          search={(before: CommonSearch) => pickCommon(before)}
          className="fieldLink"
        >
          service
        </Link>
      </>
    );
  }
  if (name === 'cluster') {
    return (
      <>
        {value}
        <Link
          to="/federation"
          search={(before: CommonSearch) => ({ ...pickCommon(before), peer: value })}
          className="fieldLink"
        >
          federation
        </Link>
      </>
    );
  }
  return value;
}
