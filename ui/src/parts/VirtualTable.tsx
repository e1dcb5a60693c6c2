/** A table of any length: only the rows in sight exist. Plain elements, no kit component per row. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useRef } from 'react';
import './table.css';

export interface Column {
  key: string;
  title: ReactNode;
  /** A track of `grid-template-columns`. */
  width: string;
  align?: 'right';
  sort?: 'ascending' | 'descending' | undefined;
  onSort?: (() => void) | undefined;
}

interface Props {
  label: string;
  columns: readonly Column[];
  count: number;
  /** Pixels, or 'fill' to take what the parent leaves. */
  height: number | 'fill';
  cell: (row: number, column: number) => ReactNode;
  onRow?: ((row: number) => void) | undefined;
  current?: number | undefined;
  onHover?: ((row: number | undefined) => void) | undefined;
  /** Taller rows, for those that hold more than text. */
  rowPx?: number;
  /** Columns share the width there is; without it they keep theirs and the table scrolls sideways. */
  fit?: boolean;
  /** With `fit`: narrower than this it scrolls sideways all the same. */
  leastPx?: number;
  /** Identity of a row where the same place may come to hold another. */
  keyOf?: (row: number) => string;
}

const ROW_PX = 24;
const FOCUSABLE = 'a[href], button:not(:disabled), input';

export function VirtualTable({ label, columns, count, height, cell, onRow, current, onHover, ...more }: Props) {
  const rowPx = more.rowPx ?? ROW_PX;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    overscan: rowPx > ROW_PX ? 4 : 12,
    ...(more.keyOf ? { getItemKey: more.keyOf } : {}),
  });
  const template = {
    gridTemplateColumns: columns.map((column) => column.width).join(' '),
    ...(more.leastPx ? { minWidth: more.leastPx } : {}),
  };
  const placed = rowPx === ROW_PX ? template : { ...template, height: rowPx };
  const size =
    height === 'fill' ? { flex: '1 1 0', minHeight: 0 } : { height: Math.min(height, count * rowPx + ROW_PX + 4) };
  return (
    <div
      ref={scroller}
      className={more.fit ? 'vtable fit' : 'vtable'}
      style={size}
      role="table"
      aria-label={label}
      aria-rowcount={count + 1}
      tabIndex={0}
      onKeyDown={(event) => {
        const row = nextRow(event, count);
        if (row === null) return;
        event.preventDefault();
        virtual.scrollToIndex(row);
        // The row may not exist before it has been scrolled to.
        requestAnimationFrame(() => focusRow(scroller.current, row));
      }}
      onMouseLeave={onHover ? () => onHover(undefined) : undefined}
    >
      <div role="rowgroup" className="vtableHead">
        <div role="row" className="vtableRow" style={template}>
          {columns.map((column) => (
            <div
              key={column.key}
              role="columnheader"
              className={column.align === 'right' ? 'num clip' : 'clip'}
              aria-sort={column.sort}
            >
              {column.onSort ? (
                <button type="button" className="vtableSort" onClick={column.onSort}>
                  {column.title}
                  {column.sort === 'ascending' ? ' ▲' : column.sort === 'descending' ? ' ▼' : ''}
                </button>
              ) : (
                column.title
              )}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="vtableBody" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => (
          <div
            key={item.key}
            role="row"
            aria-rowindex={item.index + 2}
            aria-selected={current === item.index ? true : undefined}
            className={onRow ? 'vtableRow vtablePlaced pickable' : 'vtableRow vtablePlaced'}
            style={{ ...placed, transform: `translateY(${item.start}px)` }}
            onClick={onRow ? () => onRow(item.index) : undefined}
            onMouseEnter={onHover ? () => onHover(item.index) : undefined}
          >
            {columns.map((column, i) => (
              <div key={column.key} role="cell" className={column.align === 'right' ? 'num clip' : 'clip'}>
                {cell(item.index, i)}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

/** Up and down from a control in one row to the same place of the next; the table itself scrolls as any other. */
function nextRow(event: React.KeyboardEvent, count: number): number | null {
  const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  const from = (event.target as Element).closest('[role="row"][aria-rowindex]');
  if (by === 0 || !from || event.altKey || event.ctrlKey || event.metaKey) return null;
  const next = Number(from.getAttribute('aria-rowindex')) - 2 + by;
  return next >= 0 && next < count ? next : null;
}

function focusRow(table: Element | null, row: number): void {
  table
    ?.querySelector<HTMLElement>(`[aria-rowindex="${row + 2}"]`)
    ?.querySelector<HTMLElement>(FOCUSABLE)
    ?.focus();
}
