/**
 * Adds the scope to a query: its matchers go into every selector that the grammar finds. Loaded only while there is a
 * scope, for the grammars weigh more than a page.
 */
import { parser as promqlParser } from '@prometheus-io/lezer-promql';
import { parser as logqlParser } from '@grafana/lezer-logql';
import type { SyntaxNode, Tree } from '@lezer/common';
import type { Edit, Narrowed } from './places';
import { labelText, type Matcher, quote } from './promtext';

/** Null where the text does not parse: what a server would make of it is not known here. */
export function narrowPromql(expr: string, matchers: readonly Matcher[]): Narrowed | null {
  return narrowWith(promqlParser.parse(expr), expr, matchers, 'VectorSelector', 'LabelMatchers');
}

export function narrowLogql(query: string, matchers: readonly Matcher[]): Narrowed | null {
  return narrowWith(logqlParser.parse(query), query, matchers, 'Selector', null);
}

function narrowWith(
  tree: Tree,
  text: string,
  matchers: readonly Matcher[],
  selectorName: string,
  bracesName: string | null,
): Narrowed | null {
  const inner = matchers.map((one) => `${labelText(one.name)}${one.op}${quote(one.value)}`).join(', ');
  const edits: Edit[] = [];
  let broken = false;
  tree.iterate({
    enter: (ref) => {
      if (ref.type.isError) broken = true;
      if (ref.name === selectorName) edits.push(edit(ref.node, text, inner, bracesName));
    },
  });
  if (broken) return null;
  edits.sort((a, b) => a.at - b.at);
  let out = '';
  let at = 0;
  for (const one of edits) {
    out += text.slice(at, one.at) + one.text;
    at = one.at;
  }
  return { text: out + text.slice(at), edits };
}

/** Behind the opening brace, so that a comma at the end stays where it is; a bare name gets braces of its own. */
function edit(node: SyntaxNode, text: string, inner: string, bracesName: string | null): Edit {
  const braces = bracesName === null ? node : node.getChild(bracesName);
  if (!braces) return { at: node.to, text: `{${inner}}` };
  return { at: braces.from + 1, text: holdsAny(braces, text) ? `${inner}, ` : inner };
}

function holdsAny(braces: SyntaxNode, text: string): boolean {
  const inside = text.slice(braces.from + 1, braces.to - 1);
  return inside.replace(/#[^\n]*/g, '').trim() !== '';
}
