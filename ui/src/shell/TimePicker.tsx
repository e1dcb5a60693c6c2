/** The time range: quick choices, the grammar of lib/time.ts typed by hand, the zone, and moves by half a window. */
import { Popover } from '@mantine/core';
import { useState } from 'react';
import { resolveRange } from '../lib/time';
import { formatDateTime, formatRange } from '../lib/timeformat';
import { usePatch, useRangeMoves, useSetRange, useView } from '../state/view';
import { ClockIcon, LeftIcon, RightIcon, ZoomOutIcon } from './icons';

const QUICK: readonly (readonly [string, string])[] = [
  ['now-5m', 'now'],
  ['now-15m', 'now'],
  ['now-30m', 'now'],
  ['now-1h', 'now'],
  ['now-3h', 'now'],
  ['now-6h', 'now'],
  ['now-12h', 'now'],
  ['now-24h', 'now'],
  ['now-2d', 'now'],
  ['now-7d', 'now'],
  ['now-30d', 'now'],
  ['now/d', 'now'],
];

interface Props {
  opened: boolean;
  onOpen: (opened: boolean) => void;
}

export function TimePicker({ opened, onOpen }: Props) {
  const { from, to, zone, range } = useView();
  const moves = useRangeMoves();
  return (
    <div className="group" role="group" aria-label="Time range">
      <button
        type="button"
        className="btn"
        aria-label="Earlier"
        title="Earlier by half a window (t ←)"
        onClick={moves.back}
      >
        <LeftIcon />
      </button>
      <Popover opened={opened} onChange={onOpen} position="bottom-end" width={470} trapFocus returnFocus>
        <Popover.Target>
          <button
            type="button"
            className="btn rangeButton"
            onClick={() => onOpen(!opened)}
            aria-label={`Time range: ${formatRange(from, to, range, zone)}${zone === 'utc' ? ' UTC' : ''}`}
          >
            <ClockIcon />
            {formatRange(from, to, range, zone)} {zone === 'utc' ? <span className="tag">UTC</span> : null}
          </button>
        </Popover.Target>
        <Popover.Dropdown p="xs">
          {opened ? <RangeForm key={`${from} ${to}`} onDone={() => onOpen(false)} /> : null}
        </Popover.Dropdown>
      </Popover>
      <button
        type="button"
        className="btn"
        aria-label="Later"
        title="Later by half a window (t →)"
        onClick={moves.forward}
      >
        <RightIcon />
      </button>
      <button type="button" className="btn" aria-label="Zoom out" title="Zoom out (t −)" onClick={moves.out}>
        <ZoomOutIcon />
      </button>
    </div>
  );
}

function editable(text: string, ms: number, zone: 'browser' | 'utc'): string {
  return text.startsWith('now') ? text : formatDateTime(ms, zone);
}

function RangeForm({ onDone }: { onDone: () => void }) {
  const view = useView();
  const setRange = useSetRange();
  const patch = usePatch();
  const [from, setFrom] = useState(() => editable(view.from, view.range.fromMs, view.zone));
  const [to, setTo] = useState(() => editable(view.to, view.range.toMs, view.zone));
  const resolved = resolveRange(from, to, Date.now(), view.zone);
  const apply = () => {
    if (!resolved) return;
    setRange({ from: freeze(from, resolved.fromMs), to: freeze(to, resolved.toMs) });
    onDone();
  };
  return (
    <div className="rangeForm">
      <div className="rangeQuick" role="group" aria-label="Quick ranges">
        {QUICK.map(([a, b]) => (
          <button
            key={a}
            type="button"
            className="btn quiet"
            aria-pressed={a === view.from && b === view.to}
            onClick={() => {
              setRange({ from: a, to: b });
              onDone();
            }}
          >
            {formatRange(a, b, null, view.zone)}
          </button>
        ))}
      </div>
      <form
        className="rangeExact"
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <label>
          From
          <input
            className="field data"
            value={from}
            spellCheck={false}
            aria-invalid={!resolved}
            onChange={(event) => setFrom(event.target.value)}
          />
        </label>
        <label>
          To
          <input
            className="field data"
            value={to}
            spellCheck={false}
            aria-invalid={!resolved}
            onChange={(event) => setTo(event.target.value)}
          />
        </label>
        <p className={resolved ? 'soft' : 'bad'} aria-live="polite">
          {resolved
            ? `${formatDateTime(resolved.fromMs, view.zone)} → ${formatDateTime(resolved.toMs, view.zone)}`
            : 'Not a range. Try now-6h, now/d, 2026-01-31 08:00:00 or an epoch; “to” must be later.'}
        </p>
        <div className="row">
          <button type="submit" className="btn primary" disabled={!resolved}>
            Apply
          </button>
          <button
            type="button"
            className="btn"
            title="Write both ends as instants, so that a copied address always shows this window"
            onClick={() => {
              setRange(view.range);
              onDone();
            }}
          >
            Freeze
          </button>
          <span className="grow" />
          <div className="group" role="group" aria-label="Time zone">
            <button
              type="button"
              className="btn"
              aria-pressed={view.zone === 'browser'}
              onClick={() => patch({ tz: undefined }, 'replace')}
            >
              Browser
            </button>
            <button
              type="button"
              className="btn"
              aria-pressed={view.zone === 'utc'}
              onClick={() => patch({ tz: 'utc' }, 'replace')}
            >
              UTC
            </button>
          </div>
        </div>
      </form>
    </div>
  );
}

/** Relative text stays as typed; a calendar text becomes an instant, since its meaning depends on the reader's zone. */
function freeze(text: string, ms: number): string {
  return text.trim().startsWith('now') ? text.trim() : String(Math.round(ms));
}
