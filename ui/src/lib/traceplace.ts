/** What is being typed at the end of a text of TraceQL: an attribute, a value of one, or a stage. */

export type TracePlace =
  | { kind: 'none' }
  | { kind: 'attribute'; typed: string; /** Right behind what only an attribute can follow. */ fresh: boolean }
  | { kind: 'value'; typed: string; attribute: string; quoted: boolean }
  | { kind: 'stage'; typed: string };

const VALUE = /([A-Za-z_.][\w.:\-/]*)\s*(?:=~|!~|!=|>=|<=|=|>|<)\s*(?:"((?:[^"\\]|\\.)*)|([\w.\-]*))$/;
const NAME = /(^|[\s{(,!])([A-Za-z_.][\w.:\-/]*|)$/;
const STAGE = /(?:^|[^|])\|\s*([A-Za-z_]*)$/;

export function placeInTraceql(before: string): TracePlace {
  const depth = depths(before);
  if (depth === null) return { kind: 'none' };
  const value = VALUE.exec(before);
  if (value && depth.braces > 0) {
    const quoted = value[2] !== undefined;
    return { kind: 'value', attribute: value[1] ?? '', typed: value[2] ?? value[3] ?? '', quoted };
  }
  if (depth.inString) return { kind: 'none' };
  const stage = STAGE.exec(before);
  if (stage && depth.braces === 0 && depth.parens === 0) return { kind: 'stage', typed: stage[1] ?? '' };
  const name = NAME.exec(before);
  if (!name || (depth.braces === 0 && depth.parens === 0)) return { kind: 'none' };
  const typed = name[2] ?? '';
  const lead = before.slice(0, before.length - typed.length).trimEnd();
  return { kind: 'attribute', typed, fresh: /(\{|\(|,|&&|\|\||!)$/.test(lead) };
}

/** How deep the end of the text is in braces and parentheses. Null inside of a comment. */
function depths(text: string): { braces: number; parens: number; inString: boolean } | null {
  let braces = 0;
  let parens = 0;
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i];
    if (c === '/' && (text[i + 1] === '/' || text[i + 1] === '*')) {
      const end = text.indexOf(text[i + 1] === '/' ? '\n' : '*/', i + 2);
      if (end < 0) return null;
      i = end;
    } else if (c === '"' || c === '`') {
      const end = endOfString(text, i, c);
      if (end < 0) return { braces, parens, inString: true };
      i = end;
    } else if (c === '{') braces += 1;
    else if (c === '}') braces -= 1;
    else if (c === '(') parens += 1;
    else if (c === ')') parens -= 1;
  }
  return { braces, parens, inString: false };
}

function endOfString(text: string, start: number, quote: string): number {
  for (let i = start + 1; i < text.length; i += 1) {
    if (text[i] === '\\' && quote === '"') i += 1;
    else if (text[i] === quote) return i;
  }
  return -1;
}
