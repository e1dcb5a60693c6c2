/** What everything on the page is about: a button that opens the choice, and a chip that shows it and clears it. */
import { Popover } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { scopeText } from '../lib/scope';
import { usePatch, useView } from '../state/view';
import { CloseIcon } from './icons';

const ScopePanel = lazy(() => import('./ScopePanel'));

export const NO_SCOPE = { scope: undefined, dedup: undefined, partial: undefined };

export function ScopePicker() {
  const { scope } = useView();
  const patch = usePatch();
  const [opened, setOpened] = useState(false);
  const text = scopeText(scope);
  return (
    <div className="row scope">
      <Popover position="bottom-start" width="min(420px, 94vw)" trapFocus opened={opened} onChange={setOpened}>
        <Popover.Target>
          <button
            type="button"
            className="btn"
            aria-label={`Scope: ${text || 'all clusters'}`}
            onClick={() => setOpened(!opened)}
          >
            <span className="faint">Scope</span>
            {text ? null : ' all clusters'}
          </button>
        </Popover.Target>
        <Popover.Dropdown p="sm">
          {opened ? (
            <Suspense fallback={<span className="busy" />}>
              <ScopePanel />
            </Suspense>
          ) : null}
        </Popover.Dropdown>
      </Popover>
      {text ? (
        <button
          type="button"
          className="btn scopeChip"
          aria-label={`Clear the scope: ${text}`}
          title={`${text}\nClick: everything again`}
          onClick={() => patch(NO_SCOPE)}
        >
          <span className="clip">{text}</span>
          <CloseIcon />
        </button>
      ) : null}
    </div>
  );
}
