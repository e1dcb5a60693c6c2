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
}

const ROW_PX = 24;

export function VirtualTable({ label, columns, count, height, cell, onRow, current, onHover }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const template = { gridTemplateColumns: columns.map((column) => column.width).join(' ') };
  const size =
    height === 'fill' ? { flex: '1 1 0', minHeight: 0 } : { height: Math.min(height, (count + 1) * ROW_PX + 4) };
  return (
    <div
      ref={scroller}
      className="vtable"
      style={size}
      role="table"
      aria-label={label}
      aria-rowcount={count + 1}
      tabIndex={0}
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
            style={{ ...template, transform: `translateY(${item.start}px)` }}
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
