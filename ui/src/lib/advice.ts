/** What to do about a refused question, for those who did not write the server. Null where its words say enough. */
import { ApiError } from '../api/http';

export function adviceOn(error: Error, about: 'logs' | 'traces' = 'logs'): string | null {
  if (!(error instanceof ApiError)) return null;
  const text = error.message.toLowerCase();
  if (error.status === 0) return 'What is on the screen is the last answer. Try again once the node is back.';
  if (error.status === 401 || error.status === 403)
    return 'Choose another tenant in the bar, or ask for access to this one.';
  if (/incomplete|missing|coverage/.test(text) && error.coverage.length > 0)
    return 'A cluster is missing and the scope refuses incomplete answers: allow them under Scope, or ask about fewer clusters.';
  if (error.status === 408 || error.status === 504 || /timeout|deadline|took too long/.test(text))
    return `Shorten the range, or name a ${about === 'logs' ? 'stream' : 'service'}, so that less has to be read.`;
  if (error.status === 429 || /too many|limit|exceed|memory/.test(text))
    return 'Ask for less: a shorter range, a narrower selector, or a field with fewer values.';
  if (error.status === 400 && error.position)
    return `The mark shows where reading stopped.${about === 'logs' ? ' Words without braces are searched for as text.' : ''}`;
  if (error.status === 503) return 'The node is starting or has no memory to spare. It is asked again by itself.';
  return null;
}
