/** How the node reads a query: `/api/v1/parse_query`, the tree that Prometheus' own explain view draws. */
import { type Answer, type Ask, getJson } from './http';

/** A node of the tree; what it holds besides its type depends on the type. */
export type ParseNode = Readonly<Record<string, unknown>> & { readonly type: string };

export async function parseQuery(query: string, ask: Omit<Ask, 'params'>): Promise<Answer<ParseNode>> {
  const answer = await getJson<{ data: ParseNode }>('/api/v1/parse_query', { ...ask, params: { query } });
  return { ...answer, data: answer.data.data };
}
