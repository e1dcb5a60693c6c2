/** Which series are looked at: a selector, its conditions one by one, and how many are read before it says so. */
import { useState } from 'react';
import { type Matcher, parseSelector, selector } from '../../lib/promtext';
import { formatCount } from '../../lib/units';
import { CloseIcon } from '../../shell/icons';
import { usePatch } from '../../state/view';
import { DEFAULT_LIMIT } from './useCardinality';

interface Props {
  match: string | undefined;
  wrong: boolean;
  scope: ReturnType<typeof parseSelector>;
  limit: number;
  truncated: boolean;
  /** Series read; null while they are asked for. */
  counted: number | null;
  /** Series there are, where the store says so. */
  known: number | null;
  loading: boolean;
}

const LIMITS = [1000, DEFAULT_LIMIT, 50_000, 200_000];

export function Scope({ match, wrong, scope, limit, truncated, counted, known, loading }: Props) {
  const patch = usePatch();
  const [draft, setDraft] = useState(match ?? '');
  const bad = draft.trim() !== '' && parseSelector(draft) === null;
  const set = (next: string | undefined) => patch({ match: next || undefined, label: undefined, drop: undefined });
  const without = (less: Matcher | null) => {
    if (!scope) return;
    const metric = less ? scope.metric : '';
    const matchers = scope.matchers.filter((one) => one !== less);
    set(metric === '' && matchers.length === 0 ? undefined : selector(metric, matchers));
  };
  return (
    <section className="panel cardinalityScope" aria-label="Scope">
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (!bad) set(draft.trim());
        }}
      >
        <input
          className="field grow data"
          data-query-target=""
          aria-label="Series to look at"
          aria-invalid={bad || wrong}
          placeholder={'All series. Narrow it: http_requests_total or {job="api", code=~"5.."}'}
          spellCheck={false}
          autoComplete="off"
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
        />
        <button type="submit" className="btn primary" disabled={bad}>
          Look
        </button>
        <label className="row scopeLimit">
          <span className="soft">Count up to</span>
          <select
            className="field"
            value={limit}
            onChange={(event) => {
              const next = Number(event.target.value);
              patch({ limit: next === DEFAULT_LIMIT ? undefined : next });
            }}
          >
            {[...new Set([...LIMITS, limit])]
              .sort((a, b) => a - b)
              .map((one) => (
                <option key={one} value={one}>
                  {formatCount(one)}
                </option>
              ))}
          </select>
        </label>
      </form>
      <div className="row scopeState">
        {scope?.metric ? <Chip text={scope.metric} onRemove={() => without(null)} /> : null}
        {scope?.matchers.map((one) => (
          <Chip
            key={`${one.name}${one.op}${one.value}`}
            text={`${one.name}${one.op}"${one.value}"`}
            onRemove={() => without(one)}
          />
        ))}
        <span className={truncated ? 'warn' : 'soft'} role="status">
          {bad || wrong
            ? 'Not a selector: a metric name, matchers in braces, or both.'
            : counted === null
              ? 'Reading series'
              : truncated
                ? `Only the first ${formatCount(counted)} series were read${known ? ` of ${formatCount(known)}` : ', and there are more'}: labels and what-if below speak of these. Narrow the scope, or count further.`
                : `${formatCount(counted)} series in this range, all of them read.`}
        </span>
        {loading ? <span className="busy" /> : null}
      </div>
    </section>
  );
}

function Chip({ text, onRemove }: { text: string; onRemove: () => void }) {
  return (
    <button type="button" className="btn chip" aria-label={`Remove ${text}`} onClick={onRemove}>
      <span className="clip">{text}</span>
      <CloseIcon />
    </button>
  );
}
