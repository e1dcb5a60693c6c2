/** Ctrl+K: pages, actions, services, metrics, and a pasted trace id, in one filtered list. */
import { useNavigate } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { services } from '../api/jaeger';
import { labelValues } from '../api/prom';
import { rank } from '../lib/rank';
import { useAnswer } from '../state/answers';
import type { CommonSearch } from '../state/search';
import { pickCommon, useView } from '../state/view';
import { type Actions, PAGES } from './actions';
import { Dialog } from './Dialog';

interface Entry {
  kind: string;
  label: string;
  run: () => void;
}

interface Props {
  actions: Actions;
  onClose: () => void;
}

/** Rows shown; the rest is reached by typing. */
const SHOWN = 12;

export default function Palette({ actions, onClose }: Props) {
  const [text, setText] = useState('');
  const [active, setActive] = useState(0);
  const entries = useEntries(actions, text);
  const found = useMemo(() => rank(entries, text, (entry) => `${entry.label} ${entry.kind}`, SHOWN), [entries, text]);
  const current = Math.min(active, found.length - 1);
  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.run();
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'ArrowDown') setActive(Math.min(current + 1, found.length - 1));
    else if (event.key === 'ArrowUp') setActive(Math.max(current - 1, 0));
    else if (event.key === 'Enter') choose(found[current]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog label="Palette" padding={0} onClose={onClose}>
      <input
        className="paletteInput"
        role="combobox"
        aria-expanded
        aria-controls="palette-list"
        aria-autocomplete="list"
        aria-label="Go to"
        aria-activedescendant={current >= 0 ? `palette-${current}` : undefined}
        data-autofocus
        autoFocus
        placeholder="Page, action, metric, service or trace id"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul id="palette-list" role="listbox" aria-label="Matches" className="paletteList">
        {found.map((entry, i) => (
          <li
            key={`${entry.kind} ${entry.label}`}
            id={`palette-${i}`}
            role="option"
            aria-selected={i === current}
            onMouseMove={() => setActive(i)}
            onClick={() => choose(entry)}
          >
            <span className="clip grow">{entry.label}</span>
            <span className="tag">{entry.kind}</span>
          </li>
        ))}
      </ul>
      {found.length === 0 ? (
        <p className="paletteNone soft">Nothing matches. A trace id is 16 or 32 hex digits.</p>
      ) : null}
    </Dialog>
  );
}

function useEntries(actions: Actions, text: string): Entry[] {
  const navigate = useNavigate();
  const { asker } = useView();
  const metrics = useAnswer(['metric names', asker], (signal) => labelValues('__name__', { ...asker, signal }), {
    staleMs: 60_000,
  });
  const known = useAnswer(['services', asker], (signal) => services({ ...asker, signal }), { staleMs: 60_000 });
  return useMemo(() => {
    const keep = (extra: object) => ((before: CommonSearch) => ({ ...pickCommon(before), ...extra })) as never;
    const id = text.trim().toLowerCase();
    const trace: Entry[] = /^([0-9a-f]{16}|[0-9a-f]{32})$/.test(id)
      ? [{ kind: 'trace', label: id, run: () => void navigate({ to: '/trace/$id', params: { id }, search: keep({}) }) }]
      : [];
    return [
      ...trace,
      ...PAGES.map((page) => ({ kind: 'page', label: page.label, run: () => actions.go(page.name) })),
      { kind: 'action', label: 'Refresh now', run: actions.refresh },
      { kind: 'action', label: 'Choose the time range', run: actions.openRange },
      { kind: 'action', label: 'Zoom out', run: actions.zoomOut },
      { kind: 'action', label: 'Switch light and dark', run: actions.toggleTheme },
      { kind: 'action', label: 'Keyboard help', run: actions.help },
      ...(known.data?.data ?? []).map((service) => ({
        kind: 'service',
        label: service,
        run: () => void navigate({ to: '/services/$name', params: { name: service }, search: keep({}) }),
      })),
      ...(metrics.data?.data ?? []).map((name) => ({
        kind: 'metric',
        label: name,
        run: () => void navigate({ to: '/metrics', search: keep({ q: [name] }) }),
      })),
    ];
  }, [actions, text, navigate, known.data, metrics.data]);
}
