/** The choice of a scope: clusters by a click, any other label by name and value, and how whole an answer must be. */
import { useMemo, useState } from 'react';
import { federation, type Peer } from '../api/federation';
import type { Asker } from '../api/http';
import { labelNames, labelValues } from '../api/prom';
import { LINKS } from '../lib/peers';
import { CLUSTER, EVERYTHING, type ScopeLabel, scopeTexts, toggleValue } from '../lib/scope';
import { useAnswer } from '../state/answers';
import { usePatch, useView } from '../state/view';
import { NO_SCOPE } from './ScopePicker';

/** Clusters listed before the search field is the better way. */
const LISTED = 60;

export default function ScopePanel() {
  const { scope } = useView();
  const patch = usePatch();
  const { clusters, peers } = useClusters();
  const [find, setFind] = useState('');
  const toggle = (name: string, value: string) => patch({ scope: scopeTexts(toggleValue(scope.labels, name, value)) });
  const chosen = scope.labels.find((one) => one.name === CLUSTER)?.values ?? [];
  const found = clusters.filter((name) => name.toLowerCase().includes(find.trim().toLowerCase()));
  const others = scope.labels.filter((one) => one.name !== CLUSTER);
  return (
    <div className="scopePanel">
      <fieldset>
        <legend>Clusters</legend>
        {clusters.length > 12 ? (
          <input
            className="field"
            aria-label="Find a cluster"
            placeholder="Find a cluster"
            value={find}
            onChange={(event) => setFind(event.target.value)}
          />
        ) : null}
        <div className="scopeClusters">
          {found.slice(0, LISTED).map((name) => (
            <label key={name}>
              <input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(CLUSTER, name)} />
              <span className="clip grow">{name}</span>
              <LinkMark peers={peers.filter((peer) => peer.name === name || peer.labels[CLUSTER] === name)} />
            </label>
          ))}
          {found.length > LISTED ? <p className="soft">and {found.length - LISTED} more</p> : null}
          {found.length === 0 ? (
            <p className="soft">None is known by its name. Add one below as cluster=name.</p>
          ) : null}
        </div>
      </fieldset>
      <Others labels={others} peers={peers} onToggle={toggle} />
      <fieldset>
        <legend>Advanced</legend>
        <label title="Sends dedup=false: what every replica has, each under its own replica label">
          <input
            type="checkbox"
            checked={!scope.dedup}
            onChange={(event) => patch({ dedup: event.target.checked ? 'false' : undefined })}
          />
          Show replicas apart
        </label>
        <label title="Sends partial=deny: an answer that lacks a cluster is an error">
          <input
            type="checkbox"
            checked={scope.deny}
            onChange={(event) => patch({ partial: event.target.checked ? 'deny' : undefined })}
          />
          Refuse incomplete answers
        </label>
      </fieldset>
      <div className="row">
        <p className="soft grow">
          Put into every selector of metrics and logs, and into the tags of trace searches. A trace itself is always
          shown whole.
        </p>
        <button type="button" className="btn" onClick={() => patch(NO_SCOPE)}>
          Everything
        </button>
      </div>
    </div>
  );
}

function LinkMark({ peers }: { peers: readonly Peer[] }) {
  const [peer] = [...peers].sort((a, b) => Number(b.state === 'up') - Number(a.state === 'up'));
  if (!peer) return null;
  return <span className={`fresh ${LINKS[peer.state].tone}`}>{LINKS[peer.state].word}</span>;
}

/** From what was stored and from what the peers are called, of everything and not of the scope chosen so far. */
function useClusters(): { clusters: string[]; peers: readonly Peer[] } {
  const { tenant, range, from, to } = useView();
  const asker = useMemo<Asker>(() => ({ tenant, scope: EVERYTHING }), [tenant]);
  const stored = useAnswer(
    ['scope values', CLUSTER, asker, from, to],
    (signal) => labelValues(CLUSTER, { ...asker, signal }, range),
    { staleMs: 60_000 },
  );
  const known = useAnswer(['federation', asker], (signal) => federation({ ...asker, signal }), { staleMs: 30_000 });
  const peers = known.data?.data.peers ?? [];
  const own = known.data?.data.cluster;
  const named = peers.map((peer) => peer.labels[CLUSTER] ?? peer.name);
  const all = new Set([...(stored.data?.data ?? []), ...named, ...(own && own !== 'local' ? [own] : [])]);
  return { clusters: [...all].sort(), peers };
}

interface OthersProps {
  labels: readonly ScopeLabel[];
  peers: readonly Peer[];
  onToggle: (name: string, value: string) => void;
}

/** Labels that peers carry come with their values; of any other the node is asked. */
function Others({ labels, peers, onToggle }: OthersProps) {
  const { tenant, range, from, to } = useView();
  const asker = useMemo<Asker>(() => ({ tenant, scope: EVERYTHING }), [tenant]);
  const [name, setName] = useState('');
  const [value, setValue] = useState('');
  const names = useAnswer(
    ['scope names', asker, from, to],
    async (signal) => ({ ...NOTHING, data: await labelNames({ ...asker, signal }, range) }),
    { staleMs: 60_000 },
  );
  const values = useAnswer(
    ['scope values', name, asker, from, to],
    (signal) => labelValues(name, { ...asker, signal }, range),
    { staleMs: 60_000, enabled: names.data?.data.includes(name) ?? false },
  );
  const carried = useMemo(() => carriedLabels(peers), [peers]);
  const offered = [...new Set([...carried.keys(), ...(names.data?.data ?? [])])].filter(
    (one) => one !== CLUSTER && one !== '__name__',
  );
  return (
    <fieldset>
      <legend>Labels</legend>
      {labels.flatMap((label) =>
        label.values.map((one) => (
          <button
            key={`${label.name}=${one}`}
            type="button"
            className="btn"
            aria-label={`Take out ${label.name}=${one}`}
            onClick={() => onToggle(label.name, one)}
          >
            {label.name}={one} ✕
          </button>
        )),
      )}
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() === '' || value === '') return;
          onToggle(name.trim(), value);
          setValue('');
        }}
      >
        <input
          className="field grow"
          aria-label="Label of the scope"
          placeholder="label"
          list="scope-names"
          autoComplete="off"
          spellCheck={false}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <input
          className="field grow"
          aria-label="Value of the label"
          placeholder="value"
          list="scope-values"
          autoComplete="off"
          spellCheck={false}
          value={value}
          onChange={(event) => setValue(event.target.value)}
        />
        <button type="submit" className="btn" disabled={name.trim() === '' || value === ''}>
          Add
        </button>
      </form>
      <datalist id="scope-names">
        {offered.slice(0, 500).map((one) => (
          <option key={one} value={one} />
        ))}
      </datalist>
      <datalist id="scope-values">
        {[...new Set([...(carried.get(name) ?? []), ...(values.data?.data ?? [])])].slice(0, 500).map((one) => (
          <option key={one} value={one} />
        ))}
      </datalist>
    </fieldset>
  );
}

const NOTHING = { coverage: [], warnings: [], infos: [], elapsedMs: 0 };

function carriedLabels(peers: readonly Peer[]): Map<string, Set<string>> {
  const out = new Map<string, Set<string>>();
  for (const [name, value] of peers.flatMap((peer) => Object.entries(peer.labels)))
    out.set(name, (out.get(name) ?? new Set()).add(value));
  return out;
}
