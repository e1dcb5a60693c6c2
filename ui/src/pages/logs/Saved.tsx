/** Searches kept by this browser, as links: their address is all there is to them, and all that sharing one takes. */
import { Popover } from '@mantine/core';
import { Link, useRouterState } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { readSaved, type Saved, searchToKeep, withoutSaved, withSaved, writeSaved } from '../../lib/saved';
import { CloseIcon } from '../../shell/icons';
import { commonSearch, logsSearch, parseSearch } from '../../state/search';

export function SavedSearches() {
  const [opened, setOpened] = useState(false);
  return (
    <Popover position="bottom-end" width="min(420px, 94vw)" trapFocus returnFocus opened={opened} onChange={setOpened}>
      <Popover.Target>
        <button type="button" className="btn logsRun" aria-expanded={opened} onClick={() => setOpened(!opened)}>
          Saved
        </button>
      </Popover.Target>
      <Popover.Dropdown p="sm" aria-label="Saved searches">
        {opened ? <Panel onDone={() => setOpened(false)} /> : null}
      </Popover.Dropdown>
    </Popover>
  );
}

function Panel({ onDone }: { onDone: () => void }) {
  const here = useRouterState({ select: (state) => state.location.searchStr });
  const [list, setList] = useState(readSaved);
  const [name, setName] = useState('');
  const [said, setSaid] = useState('');
  // Another tab may save one while this is open.
  useEffect(() => {
    const read = () => setList(readSaved());
    window.addEventListener('storage', read);
    return () => window.removeEventListener('storage', read);
  }, []);
  const keep = (next: Saved[], done: string) => {
    setList(next);
    setSaid(writeSaved(next) ? done : 'This browser keeps nothing; the address itself can be kept as a bookmark.');
  };
  const copy = (one: Saved) => {
    const address = `${window.location.origin}${window.location.pathname}${one.search}`;
    void navigator.clipboard?.writeText(address);
    setSaid(`The address of ${one.name} is in the clipboard.`);
  };
  return (
    <div className="savedPanel">
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() === '') return;
          keep(withSaved(list, name, searchToKeep(here)), `${name.trim()} is saved.`);
          setName('');
        }}
      >
        <input
          className="field grow"
          aria-label="Name of this search"
          placeholder="Name of what is shown now"
          maxLength={80}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <button type="submit" className="btn primary" disabled={name.trim() === ''}>
          Save
        </button>
      </form>
      {list.length === 0 ? (
        <p className="soft">Nothing saved yet. Query, range, scope, columns and split are kept, in this browser.</p>
      ) : (
        <ul className="savedList" aria-label="Saved searches">
          {list.map((one) => (
            <li key={one.name} className="row">
              <SavedLink saved={one} onDone={onDone} />
              <button
                type="button"
                className="btn quiet"
                onClick={() => copy(one)}
                aria-label={`Copy link to ${one.name}`}
              >
                Copy link
              </button>
              <button
                type="button"
                className="btn quiet"
                aria-label={`Remove ${one.name}`}
                onClick={() => keep(withoutSaved(list, one.name), `${one.name} is removed.`)}
              >
                <CloseIcon />
              </button>
            </li>
          ))}
        </ul>
      )}
      <p className="soft" role="status">
        {said}
      </p>
    </div>
  );
}

function SavedLink({ saved, onDone }: { saved: Saved; onDone: () => void }) {
  const raw = parseSearch(saved.search);
  const search = { ...commonSearch(raw), ...logsSearch(raw) };
  return (
    <Link to="/logs" search={() => search} className="grow clip" title={search.q ?? 'everything'} onClick={onDone}>
      {saved.name} <span className="faint data">{search.q ?? ''}</span>
    </Link>
  );
}
