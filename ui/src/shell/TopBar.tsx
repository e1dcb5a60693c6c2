/** Scope, time, refresh, coverage, palette, theme: the same bar on every page. */
import { Menu, useMantineColorScheme } from '@mantine/core';
import { useIsFetching } from '@tanstack/react-query';
import { useState } from 'react';
import { fleet } from '../api/fleet';
import { useAnswer } from '../state/answers';
import { REFRESH_CHOICES } from '../state/search';
import { usePatch, useView } from '../state/view';
import type { Actions } from './actions';
import { CoverageBadge } from './CoverageBadge';
import { AutoIcon, HelpIcon, MoonIcon, RefreshIcon, SearchIcon, SunIcon } from './icons';
import { ScopePicker } from './ScopePicker';
import { TimePicker } from './TimePicker';

interface Props {
  title: string;
  actions: Actions;
  rangeOpened: boolean;
  onRangeOpen: (opened: boolean) => void;
}

export function TopBar({ title, actions, rangeOpened, onRangeOpen }: Props) {
  return (
    <header className="topBar">
      <h1>{title}</h1>
      <TenantPicker />
      <ScopePicker />
      <button type="button" className="btn quiet paletteButton" onClick={actions.palette}>
        <SearchIcon />
        <span className="grow">Go to, find a metric, paste a trace id</span>
        <kbd>Ctrl K</kbd>
      </button>
      <span className="grow" />
      <CoverageBadge />
      <TimePicker opened={rangeOpened} onOpen={onRangeOpen} />
      <RefreshPicker onRefresh={actions.refresh} />
      <ThemePicker />
      <button
        type="button"
        className="btn quiet"
        aria-label="Keyboard help"
        title="Keyboard help (?)"
        onClick={actions.help}
      >
        <HelpIcon />
      </button>
    </header>
  );
}

/** The tenant whose data is read. Free text: a node that guards its tenants lists none. */
function TenantPicker() {
  const { tenant, asker } = useView();
  const patch = usePatch();
  const nodes = useAnswer(['fleet', 'tenants', asker], (signal) => fleet({ ...asker, signal }), { staleMs: 60_000 });
  const known = [
    ...new Set(nodes.data?.data.flatMap((node) => (Array.isArray(node.tenants) ? node.tenants : [])) ?? []),
  ].sort();
  const [draft, setDraft] = useState('');
  const choose = (next: string) => patch({ tenant: next || undefined });
  return (
    <Menu position="bottom-start" width={220}>
      <Menu.Target>
        <button type="button" className="btn" aria-label={`Tenant: ${tenant || 'default'}`}>
          <span className="faint">Tenant</span> {tenant || 'default'}
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => choose('')}>default (no header)</Menu.Item>
        {known.map((name) => (
          <Menu.Item key={name} onClick={() => choose(name)}>
            {name}
          </Menu.Item>
        ))}
        <form
          className="scopeForm"
          onSubmit={(event) => {
            event.preventDefault();
            choose(draft.trim());
          }}
        >
          <input
            className="field"
            aria-label="Another tenant"
            placeholder="another, or a|b"
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            onKeyDown={(event) => event.stopPropagation()}
          />
          <button type="submit" className="btn">
            Use
          </button>
        </form>
      </Menu.Dropdown>
    </Menu>
  );
}

function RefreshPicker({ onRefresh }: { onRefresh: () => void }) {
  const { refresh } = useView();
  const patch = usePatch();
  const busy = useIsFetching() > 0;
  return (
    <div className="group" role="group" aria-label="Refresh">
      <button
        type="button"
        className="btn"
        onClick={onRefresh}
        aria-label="Refresh now"
        title="Refresh now (d r)"
        aria-busy={busy}
      >
        {busy ? <span className="busy" /> : <RefreshIcon />}
      </button>
      <Menu position="bottom-end" width={120}>
        <Menu.Target>
          <button type="button" className="btn" aria-label={`Refresh every: ${refresh || 'off'}`}>
            {refresh || 'off'}
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => patch({ refresh: undefined }, 'replace')}>off</Menu.Item>
          {REFRESH_CHOICES.map((every) => (
            <Menu.Item key={every} onClick={() => patch({ refresh: every }, 'replace')}>
              every {every}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}

const SCHEMES = ['auto', 'light', 'dark'] as const;

function ThemePicker() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const next = SCHEMES[(SCHEMES.indexOf(colorScheme) + 1) % SCHEMES.length] ?? 'auto';
  return (
    <button
      type="button"
      className="btn quiet"
      onClick={() => setColorScheme(next)}
      aria-label={`Theme: ${colorScheme}; switch to ${next}`}
      title={`Theme: ${colorScheme}`}
    >
      {colorScheme === 'light' ? <SunIcon /> : colorScheme === 'dark' ? <MoonIcon /> : <AutoIcon />}
    </button>
  );
}
