/** Where a page cannot be drawn at all. */
import { Link } from '@tanstack/react-router';

export function Failure({ error }: { error: unknown }) {
  return (
    <div className="empty" role="alert">
      <h2>This page broke</h2>
      <p>{error instanceof Error ? error.message : String(error)}</p>
      <button type="button" className="btn primary" onClick={() => window.location.reload()}>
        Load again
      </button>
    </div>
  );
}

export function NotFound() {
  return (
    <div className="empty">
      <h2>No such page</h2>
      <p>
        The address names nothing here. The pages are in the rail on the left; <kbd>Ctrl K</kbd> finds them too.
      </p>
      <Link to="/" className="btn primary">
        To the fleet
      </Link>
    </div>
  );
}
