/** The frame around every page: rail, bar, banner, keys, automatic refresh. */
import { useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from 'react';
import { listen } from '../lib/keys';
import { refreshLists } from '../state/answers';
import { advanceNow } from '../state/now';
import type { CommonSearch } from '../state/search';
import { pickCommon, useRangeMoves, useView } from '../state/view';
import { type Actions, focusQuery, letterKeysOn, type Page, PAGES, type PageName, shortcuts } from './actions';
import { CoverageBanner } from './CoverageBadge';
import { FleetIcon, LogsIcon, MetricsIcon, TracesIcon } from './icons';
import { TopBar } from './TopBar';
import './shell.css';

const Palette = lazy(() => import('./Palette'));
const Help = lazy(() => import('./Help'));

const ICONS: Partial<Record<PageName, () => React.JSX.Element>> = {
  fleet: FleetIcon,
  metrics: MetricsIcon,
  logs: LogsIcon,
  traces: TracesIcon,
};

export function Shell() {
  const [dialog, setDialog] = useState<'palette' | 'help' | null>(null);
  const [rangeOpened, setRangeOpened] = useState(false);
  const page = useCurrentPage();
  const actions = useActions(setDialog, setRangeOpened);
  useShortcuts(actions);
  useAutoRefresh(actions.refresh);
  useEffect(() => {
    document.title = `${page.title} · Orrery`;
  }, [page.title]);
  return (
    <div className="shell">
      <a className="skipLink" href="#page">
        Skip to the page
      </a>
      <nav className="rail" aria-label="Pages">
        <img className="railMark" src={`${import.meta.env.BASE_URL}orrery.svg`} alt="Orrery" width="26" height="26" />
        {PAGES.map((one) => {
          const Icon = ICONS[one.name];
          if (!Icon) return null;
          return (
            <Link
              key={one.name}
              to={one.path}
              search={(before: CommonSearch) => pickCommon(before)}
              className="railLink"
              aria-current={page.rail === one.name ? (page.name === one.name ? 'page' : 'true') : undefined}
              title={`${one.label} (g ${one.letter})`}
            >
              <Icon />
              {one.label}
            </Link>
          );
        })}
      </nav>
      <div className="stage">
        <TopBar title={page.title} actions={actions} rangeOpened={rangeOpened} onRangeOpen={setRangeOpened} />
        <SubNav page={page} />
        <CoverageBanner />
        <main id="page" tabIndex={-1}>
          <Outlet />
        </main>
      </div>
      <Suspense fallback={null}>
        {dialog === 'palette' ? <Palette actions={actions} onClose={() => setDialog(null)} /> : null}
        {dialog === 'help' ? <Help actions={actions} onClose={() => setDialog(null)} /> : null}
      </Suspense>
    </div>
  );
}

/** Pages that share a sign of the rail, side by side. */
function SubNav({ page }: { page: Current }) {
  const beside = PAGES.filter((one) => one.name === page.rail || one.under === page.rail);
  if (beside.length < 2) return null;
  return (
    <nav className="subNav" aria-label={page.title}>
      {beside.map((one) => (
        <Link
          key={one.name}
          to={one.path}
          search={(before: CommonSearch) => pickCommon(before)}
          className="subNavLink"
          activeOptions={{ exact: true }}
          aria-current={page.name === one.name ? 'page' : undefined}
          title={`${one.label} (g ${one.letter})`}
        >
          {one.short}
        </Link>
      ))}
    </nav>
  );
}

interface Current {
  name: PageName;
  rail: PageName;
  title: string;
}

function useCurrentPage(): Current {
  const path = useRouterState({ select: (state) => state.location.pathname });
  if (path.startsWith('/trace/')) return { name: 'traces', rail: 'traces', title: 'Trace' };
  if (path === '/traces/compare') return { name: 'traces', rail: 'traces', title: 'Compare traces' };
  const under = (one: Page) => path === one.path || (one.path !== '/' && path.startsWith(`${one.path}/`));
  const [found] = PAGES.filter(under).sort((a, b) => b.path.length - a.path.length);
  const page = found ?? PAGES[0];
  if (!page) return { name: 'fleet', rail: 'fleet', title: 'Fleet' };
  return { name: page.name, rail: page.under ?? page.name, title: (page.under && page.short) ?? page.label };
}

function useActions(setDialog: (dialog: 'palette' | 'help') => void, openRange: (opened: boolean) => void): Actions {
  const navigate = useNavigate();
  const client = useQueryClient();
  const moves = useRangeMoves();
  const { setColorScheme } = useMantineColorScheme();
  const shown = useComputedColorScheme('light');
  return useMemo(
    () => ({
      go: (name) => {
        const page = PAGES.find((one) => one.name === name);
        if (page) void navigate({ to: page.path, search: (before: CommonSearch) => pickCommon(before) });
      },
      palette: () => setDialog('palette'),
      help: () => setDialog('help'),
      refresh: () => {
        advanceNow();
        refreshLists(client);
      },
      focusQuery,
      zoomOut: moves.out,
      back: moves.back,
      forward: moves.forward,
      toggleTheme: () => setColorScheme(shown === 'dark' ? 'light' : 'dark'),
      openRange: () => openRange(true),
    }),
    [navigate, client, moves, setColorScheme, shown, setDialog, openRange],
  );
}

function useShortcuts(actions: Actions): void {
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  }, [actions]);
  useEffect(() => listen(() => shortcuts(latest.current), letterKeysOn), []);
}

const EVERY_MS: Record<string, number> = { '5s': 5e3, '10s': 1e4, '30s': 3e4, '1m': 6e4, '5m': 3e5 };

/** A hidden tab asks nothing; it catches up once when it is looked at again. */
function useAutoRefresh(refresh: () => void): void {
  const every = EVERY_MS[useView().refresh];
  useEffect(() => {
    if (every === undefined) return;
    const tick = () => {
      if (!document.hidden) refresh();
    };
    const timer = window.setInterval(tick, every);
    document.addEventListener('visibilitychange', tick);
    return () => {
      window.clearInterval(timer);
      document.removeEventListener('visibilitychange', tick);
    };
  }, [every, refresh]);
}
