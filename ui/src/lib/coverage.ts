/** What a person can do about an answer that is not whole, told by its state and by the reason a node gave. */
import type { Coverage } from '../api/coverage';

/** Reasons as nodes word them, from the most telling to the least. */
const BY_REASON: readonly (readonly [RegExp, string])[] = [
  [
    /certificate|tls|handshake|unknown authority|expired/i,
    'Its certificate or ours is not accepted: see the dates under Federation, then check with `orrery certs check`.',
  ],
  [
    /denied|forbidden|unauthori[sz]ed|permission/i,
    'It refuses this node: check the token, the tenant and its deny list.',
  ],
  [/refused/i, 'Nothing listens at its address: is the node up, and is the port right?'],
  [
    /resolve|dns|no such host|name or service/i,
    'Its name does not resolve: check the address and the DNS of this node.',
  ],
  [
    /breaker|open since|not asked/i,
    'It failed several times and is left alone for a while; it is tried again by itself.',
  ],
  [
    /no answer|timeout|timed out|deadline|unreachable|no route/i,
    'It does not answer in time: the network between, or a node under load. A shorter range may pass.',
  ],
  [/limit|too many|too large/i, 'The query reached a limit there: narrow the range, the scope or the selector.'],
  [/corrupt|garbage|order|malformed|invalid/i, 'It sent what cannot be read: compare the versions of both nodes.'],
  [/segment|file|disk|store/i, 'A part of its storage cannot be read: its log says which.'],
];

const BY_STATE: Record<Coverage['state'], string> = {
  complete: '',
  late: 'Its newest data is behind: look at its lag under Fleet; the end of the range fills by itself.',
  partial: 'Ask again, or narrow the range to what it covers.',
  missing: 'See its link under Federation; everything else here is right without it.',
};

export function adviceFor(row: Pick<Coverage, 'state' | 'reason'>): string {
  if (row.state === 'complete') return '';
  return BY_REASON.find(([pattern]) => pattern.test(row.reason))?.[1] ?? BY_STATE[row.state];
}
