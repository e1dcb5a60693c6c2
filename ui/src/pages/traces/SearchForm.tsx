/** What to search for. Fields are a draft until Search (Enter) writes them to the address. */
import { useState } from 'react';
import { operations } from '../../api/jaeger';
import { parseTags } from '../../lib/trace';
import { useAnswer } from '../../state/answers';
import { advanceNow } from '../../state/now';
import type { TracesSearch } from '../../state/search';
import { usePatch, useView } from '../../state/view';

interface Props {
  search: TracesSearch;
  services: readonly string[];
  defaultLimit: number;
}

const DURATION = /^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/;

export function SearchForm({ search, services, defaultLimit }: Props) {
  const { asker } = useView();
  const patch = usePatch();
  const [draft, setDraft] = useState({
    service: search.service ?? '',
    operation: search.operation ?? '',
    tags: search.tags ?? '',
    min: search.min ?? '',
    max: search.max ?? '',
    limit: String(search.limit ?? defaultLimit),
  });
  const known = services.includes(draft.service);
  const found = useAnswer(
    ['operations', draft.service, asker],
    (signal) => operations(draft.service, { ...asker, signal }),
    { enabled: known, staleMs: 60_000 },
  );
  const bad = {
    tags: parseTags(draft.tags) === null,
    min: draft.min !== '' && !DURATION.test(draft.min),
    max: draft.max !== '' && !DURATION.test(draft.max),
    limit: !/^[1-9]\d{0,3}$/.test(draft.limit),
  };
  const wrong = Object.values(bad).some(Boolean);
  const field = (name: keyof typeof draft) => ({
    value: draft[name],
    className: 'field',
    spellCheck: false,
    autoComplete: 'off',
    'aria-invalid': name in bad && bad[name as keyof typeof bad],
    onChange: (event: React.ChangeEvent<HTMLInputElement>) => setDraft({ ...draft, [name]: event.target.value }),
  });
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    if (wrong) return;
    advanceNow();
    const limit = Number(draft.limit);
    patch({
      service: draft.service.trim() || undefined,
      operation: draft.operation || undefined,
      tags: draft.tags.trim() || undefined,
      min: draft.min || undefined,
      max: draft.max || undefined,
      limit: limit === defaultLimit ? undefined : limit,
    });
  };
  return (
    <form className="panel searchForm" onSubmit={submit} aria-label="Search traces">
      <label className="wide">
        Service
        <input
          {...field('service')}
          data-query-target=""
          list="known-services"
          placeholder="any of the known services"
        />
      </label>
      <label className="wide">
        Operation
        <input {...field('operation')} list="known-operations" placeholder="all" />
      </label>
      <label className="wider">
        Tags
        <input {...field('tags')} placeholder={'error=true http.status_code=500'} />
      </label>
      <label>
        Min duration
        <input {...field('min')} placeholder="100ms" />
      </label>
      <label>
        Max duration
        <input {...field('max')} placeholder="2s" />
      </label>
      <label className="narrow">
        Limit
        <input {...field('limit')} inputMode="numeric" />
      </label>
      <button type="submit" className="btn primary" disabled={wrong}>
        Search
      </button>
      <datalist id="known-services">
        {services.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <datalist id="known-operations">
        {known ? found.data?.data.map((name) => <option key={name} value={name} />) : null}
      </datalist>
      {wrong ? (
        <p className="bad searchWrong" role="alert">
          {advice(bad)}
        </p>
      ) : null}
    </form>
  );
}

function advice(bad: { tags: boolean; min: boolean; max: boolean; limit: boolean }): string {
  if (bad.tags) return 'Tags are key=value pairs with spaces between; quote values that hold a space.';
  if (bad.min || bad.max) return 'Durations have a unit: 250us, 100ms, 1.5s, 2m.';
  return 'The limit is a whole number from 1 to 1500.';
}
