/** The answers that this page saw, for as long as it is open. */
import { useState } from 'react';
import type { Pipelines } from '../../api/pipelines';
import { type History, NO_HISTORY, remember } from '../../lib/flowhistory';

export function useHistory(data: Pipelines | undefined): History {
  const [history, setHistory] = useState<History>(NO_HISTORY);
  const next = data ? remember(history, data) : history;
  // During the render, so that no frame shows an answer without the rates that go with it.
  if (next !== history) setHistory(next);
  return next;
}
