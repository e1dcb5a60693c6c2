/** A refused request in the server's own words, with a caret under the place in the query where it stopped. */
import { ApiError } from '../api/http';

interface Props {
  error: Error;
  query?: string | undefined;
  /** What to do next. */
  advice?: string | null | undefined;
  onRetry?: (() => void) | undefined;
}

export function Problem({ error, query, advice, onRetry }: Props) {
  const position = error instanceof ApiError ? error.position : null;
  const line = position && query ? query.split('\n')[position.line - 1] : undefined;
  return (
    <div className="problem" role="alert">
      <span>{error.message}</span>
      {onRetry ? (
        <>
          {' '}
          <button type="button" className="linkish" onClick={onRetry}>
            Try again
          </button>
        </>
      ) : null}
      {advice ? <p className="soft">{advice}</p> : null}
      {position && line !== undefined ? (
        <pre>
          {line}
          {'\n'}
          <span className="caret">{`${' '.repeat(Math.max(0, Math.min(position.column, line.length + 1) - 1))}^`}</span>
        </pre>
      ) : null}
    </div>
  );
}
