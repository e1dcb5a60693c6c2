/** What to search for, in fields. They are a draft until Search (Enter) writes them as TraceQL into the address. */
import { useState } from 'react';
import { tagValues, traceServices } from '../../api/tempo';
import { isTraceDuration, KINDS, STATUSES, tagConditions, type TraceForm, writeForm } from '../../lib/traceform';
import { EMPTY_FORM } from '../../lib/traceform';
import { useAnswer } from '../../state/answers';
import { useView } from '../../state/view';

interface Props {
  form: TraceForm;
  onSearch: (query: string) => void;
}

/** Names offered before typing narrows them. */
const OFFERED = 500;

export function SearchForm({ form, onSearch }: Props) {
  const [draft, setDraft] = useState(form);
  const { services, operations } = useNames(draft.service);
  const bad = {
    tags: tagConditions(draft.tags) === null,
    min: draft.min !== '' && !isTraceDuration(draft.min),
    max: draft.max !== '' && !isTraceDuration(draft.max),
  };
  const wrong = Object.values(bad).some(Boolean);
  const text = (name: 'service' | 'operation' | 'min' | 'max' | 'tags') => ({
    value: draft[name],
    className: 'field',
    spellCheck: false,
    autoComplete: 'off',
    'aria-invalid': name in bad && bad[name as keyof typeof bad],
    onChange: (event: React.ChangeEvent<HTMLInputElement>) => setDraft({ ...draft, [name]: event.target.value }),
  });
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    if (!wrong) onSearch(writeForm({ ...draft, service: draft.service.trim(), operation: draft.operation.trim() }));
  };
  return (
    <form className="searchForm" onSubmit={submit} aria-label="Search traces">
      <label className="wide">
        Service
        <input {...text('service')} list="known-services" placeholder="any" />
      </label>
      <label className="wide">
        Operation
        <input {...text('operation')} list="known-operations" placeholder="any" />
      </label>
      <Choice label="Kind" value={draft.kind} choices={KINDS} onChange={(kind) => setDraft({ ...draft, kind })} />
      <Choice
        label="Status"
        value={draft.status}
        choices={STATUSES}
        onChange={(status) => setDraft({ ...draft, status })}
      />
      <label>
        Min duration
        <input {...text('min')} placeholder="100ms" />
      </label>
      <label>
        Max duration
        <input {...text('max')} placeholder="2s" />
      </label>
      <label className="wider">
        Tags
        <input {...text('tags')} placeholder={'http.status_code>=500 k8s.namespace.name=shop'} />
      </label>
      <label className="check" title="Only spans that begin a trace">
        <input
          type="checkbox"
          checked={draft.roots}
          onChange={(event) => setDraft({ ...draft, roots: event.target.checked })}
        />
        Roots only
      </label>
      <button type="submit" className="btn primary" disabled={wrong}>
        Search
      </button>
      <button type="button" className="btn quiet" onClick={() => onSearch(writeForm(EMPTY_FORM))}>
        Clear
      </button>
      <Names id="known-services" names={services} />
      <Names id="known-operations" names={operations} />
      {wrong ? (
        <p className="bad searchWrong" role="alert">
          {bad.tags
            ? 'Tags are conditions with spaces between, as key=value or key>=500; quote values that hold a space.'
            : 'Durations have a unit: 250us, 100ms, 1.5s, 2m.'}
        </p>
      ) : null}
    </form>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  choices: readonly string[];
  onChange: (value: string) => void;
}

function Choice({ label, value, choices, onChange }: ChoiceProps) {
  return (
    <label>
      {label}
      <select className="field" value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">any</option>
        {choices.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </label>
  );
}

function Names({ id, names }: { id: string; names: readonly string[] }) {
  return (
    <datalist id={id}>
      {names.slice(0, OFFERED).map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}

/** Services of the range, and operations of the one that is typed once it is one of them. */
function useNames(service: string): { services: readonly string[]; operations: readonly string[] } {
  const { asker, range, from, to } = useView();
  const services = useAnswer(
    ['trace services', asker, from, to],
    (signal) => traceServices({ ...asker, signal }, range),
    { staleMs: 60_000 },
  );
  const known = services.data?.data ?? [];
  const isKnown = known.includes(service);
  const query = writeForm({ ...EMPTY_FORM, service: isKnown ? service : '' });
  const operations = useAnswer(
    ['trace operations', query, asker, from, to],
    (signal) => tagValues('name', { ...asker, signal }, range, query),
    { staleMs: 60_000, enabled: isKnown || service === '' },
  );
  return { services: known, operations: (operations.data?.data ?? []).map((one) => one.value) };
}
