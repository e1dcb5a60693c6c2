/** Every label and field of what is found: what type, how many values, and on opening the most frequent of them. */
import { useSearch } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef } from 'react';
import { type Field, fieldKey } from '../../lib/fields';
import type { Origin } from '../../lib/logql';
import { rank } from '../../lib/rank';
import { formatCount } from '../../lib/units';
import { usePatch } from '../../state/view';
import { type Row, SidebarRow } from './FieldRows';
import type { Fields } from './useFields';
import type { Logs } from './useLogs';
import { type TopValues, useTopValues } from './useTopValues';
import './fields.css';

const ROW_PX = 25;
const TITLES: Record<Origin, string> = {
  stream: 'Stream labels',
  meta: 'Beside the line',
  json: 'In the line, JSON',
  logfmt: 'In the line, logfmt',
};

export function FieldSidebar({ logs, fields }: { logs: Logs; fields: Fields }) {
  const search = useSearch({ from: '/logs' });
  const patch = usePatch();
  const open = search.field;
  const find = search.find ?? '';
  const top = useTopValues(logs, fields, open);
  const found = useMemo(
    () => (find === '' ? fields.list : rank(fields.list, find, (field) => field.name, fields.list.length)),
    [fields.list, find],
  );
  const rows = useMemo(() => rowsOf(found, open, top, fields), [found, open, top, fields]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
  });
  return (
    <aside className="panel fieldSidebar" aria-label="Fields">
      <input
        className="field fieldFind"
        type="search"
        aria-label="Find a field"
        placeholder={`Find in ${fields.list.length} fields`}
        value={find}
        onChange={(event) => patch({ find: event.target.value || undefined }, 'replace')}
      />
      <div ref={scroller} className="virtual grow" tabIndex={0} role="region" aria-label="Fields and values">
        <div className="inner" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            return row ? (
              <div key={item.key} className="vrow" style={{ transform: `translateY(${item.start}px)`, height: ROW_PX }}>
                <SidebarRow
                  row={row}
                  open={open}
                  columns={logs.columns}
                  split={search.split}
                  onColumn={logs.onColumn}
                  onOpen={(field) => patch({ field }, 'replace')}
                  onSplit={(split) => patch({ split, hist: search.hist === 'off' ? undefined : search.hist })}
                  onFilter={logs.onFilter}
                />
              </div>
            ) : null;
          })}
        </div>
      </div>
    </aside>
  );
}

function rowsOf(list: readonly Field[], open: string | undefined, top: TopValues, fields: Fields): Row[] {
  const out: Row[] = [];
  let origin: Origin | undefined;
  const isGrouped = [...list].every((field, i) => i === 0 || order(field) >= order(list[i - 1] as Field));
  for (const field of list) {
    if (isGrouped && field.origin !== origin) {
      origin = field.origin;
      const sampled = list.some((one) => one.origin === origin && one.counted === 'loaded');
      out.push({
        kind: 'head',
        text: TITLES[origin],
        note: sampled && fields.lines > 0 ? `~ in ${formatCount(fields.lines)} loaded lines` : '',
      });
    }
    const key = fieldKey(field);
    out.push({ kind: 'field', key, field });
    if (key !== open) continue;
    out.push({ kind: 'about', key, name: field.name, note: top.note });
    for (const value of top.values) out.push({ kind: 'value', key, name: field.name, ...value });
  }
  if (out.length === 0) out.push({ kind: 'note', text: 'no field of this name' });
  return out;
}

const ORIGINS: readonly Origin[] = ['stream', 'meta', 'json', 'logfmt'];

function order(field: Field): number {
  return ORIGINS.indexOf(field.origin);
}
