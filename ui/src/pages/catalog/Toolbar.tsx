/** Search and filters of the catalogue. Each choice says how many metrics it would leave. */
import { useState } from 'react';
import { labelNames } from '../../api/prom';
import { type Facets, type Kind, KIND_NAMES, KINDS } from '../../lib/catalog';
import { formatCount } from '../../lib/units';
import { CloseIcon } from '../../shell/icons';
import { useAnswer } from '../../state/answers';
import type { CatalogSearch } from '../../state/search';
import { usePatch, useView } from '../../state/view';

interface Props {
  search: CatalogSearch;
  kinds: readonly Kind[];
  facets: Facets;
}

export function Toolbar({ search, kinds, facets }: Props) {
  const patch = usePatch();
  const toggle = (kind: Kind) => {
    const next = kinds.includes(kind) ? kinds.filter((one) => one !== kind) : [...kinds, kind];
    patch({ type: next.join(',') || undefined }, 'replace');
  };
  const filtered = Boolean(search.find || search.type || search.prefix || search.label);
  const count = new Map(facets.kinds.map((one) => [one.kind, one.count]));
  return (
    <search className="panel catalogTools">
      <input
        className="field catalogFind"
        data-query-target=""
        aria-label="Search metrics"
        placeholder="Search names and help"
        value={search.find ?? ''}
        onChange={(event) => patch({ find: event.target.value || undefined }, 'replace')}
      />
      <select
        className="field"
        aria-label="Prefix"
        value={search.prefix ?? ''}
        onChange={(event) => patch({ prefix: event.target.value || undefined })}
      >
        <option value="">Any prefix</option>
        {search.prefix && !facets.prefixes.some((one) => one.prefix === search.prefix) ? (
          <option value={search.prefix}>{search.prefix}_ (0)</option>
        ) : null}
        {facets.prefixes.map(({ prefix, count }) => (
          <option key={prefix} value={prefix}>
            {prefix} ({count})
          </option>
        ))}
      </select>
      <LabelFilter key={search.label ?? ''} label={search.label} />
      <div className="row catalogKinds" role="group" aria-label="Types">
        {/* All of them, always: a bar that grows while the list loads would push the list down. */}
        {KINDS.map((kind) => (
          <button
            key={kind}
            type="button"
            className="btn"
            aria-pressed={kinds.includes(kind)}
            disabled={!count.has(kind) && !kinds.includes(kind)}
            onClick={() => toggle(kind)}
          >
            {KIND_NAMES[kind]} <span className="num faint kindCount">{formatCount(count.get(kind) ?? 0)}</span>
          </button>
        ))}
      </div>
      <span className="grow" />
      <button
        type="button"
        className="btn quiet"
        disabled={!filtered}
        onClick={() => patch({ find: undefined, type: undefined, prefix: undefined, label: undefined })}
      >
        Clear
      </button>
    </search>
  );
}

/** Asks the node which metrics carry a label: written to the address on Enter, not while typing. */
function LabelFilter({ label }: { label: string | undefined }) {
  const { asker, range, from, to } = useView();
  const patch = usePatch();
  const [draft, setDraft] = useState(label ?? '');
  const names = useAnswer(
    ['label names', asker, from, to],
    async (signal) => ({
      data: await labelNames({ ...asker, signal }, range),
      coverage: [],
      warnings: [],
      infos: [],
      elapsedMs: 0,
    }),
    { staleMs: 60_000 },
  );
  const apply = () => {
    if (draft.trim() !== (label ?? '')) patch({ label: draft.trim() || undefined });
  };
  return (
    <form
      className="row catalogLabel"
      onSubmit={(event) => {
        event.preventDefault();
        apply();
      }}
    >
      <input
        className="field"
        aria-label="Label"
        placeholder="label or label=value"
        list="catalog-labels"
        spellCheck={false}
        autoComplete="off"
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={apply}
      />
      <datalist id="catalog-labels">
        {names.data?.data
          .filter((name) => name !== '__name__')
          .map((name) => (
            <option key={name} value={name} />
          ))}
      </datalist>
      <button
        type="button"
        className="btn quiet"
        aria-label="Clear the label"
        disabled={draft === ''}
        onClick={() => {
          setDraft('');
          if (label) patch({ label: undefined });
        }}
      >
        <CloseIcon />
      </button>
    </form>
  );
}
