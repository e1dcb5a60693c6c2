/**
 * A search for those who write no TraceQL: a few fields, written as one span filter and read back from it. A query that
 * says more than the fields can is not the form's to change.
 */
import { attributeText, conditionsOf, filterRanges, quoteTrace, SCOPES, splitTraceQuery } from './traceql';

export const KINDS = ['server', 'client', 'producer', 'consumer', 'internal'] as const;
export const STATUSES = ['error', 'ok', 'unset'] as const;

export interface TraceForm {
  service: string;
  operation: string;
  kind: string;
  status: string;
  /** A duration, and whether it counts itself. */
  min: string;
  minOp: '>' | '>=';
  max: string;
  maxOp: '<' | '<=';
  /** Conditions with spaces between: `http.status_code>=500 resource.region="a b"`. */
  tags: string;
  /** Only spans that begin a trace. */
  roots: boolean;
}

export const EMPTY_FORM: TraceForm = {
  service: '',
  operation: '',
  kind: '',
  status: '',
  min: '',
  minOp: '>=',
  max: '',
  maxOp: '<=',
  tags: '',
  roots: false,
};

const DURATION = /^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/;
const ROOTS = 'nestedSetParent < 0';

export function isTraceDuration(text: string): boolean {
  return DURATION.test(text);
}

const TAG = /^([^\s=!<>~"]+)(=~|!~|!=|>=|<=|=|>|<)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)/;

/** Conditions of a text of tags, as TraceQL; null where a piece is none. */
export function tagConditions(text: string): string[] | null {
  const out: string[] = [];
  let rest = text.trim();
  while (rest !== '') {
    const m = TAG.exec(rest);
    if (!m) return null;
    const [whole, key = '', op = '=', quoted, bare] = m;
    out.push(tagCondition(key, op, quoted, bare ?? ''));
    rest = rest.slice(whole.length).trim();
  }
  return out;
}

function tagCondition(key: string, op: string, quoted: string | undefined, bare: string): string {
  // As Jaeger writes it.
  if (key === 'error' && op === '=' && bare === 'true') return 'status = error';
  const scope = SCOPES.find((one) => key.startsWith(`${one}.`));
  const name = scope ? attributeText(scope, key.slice(scope.length + 1)) : attributeText('', key.replace(/^\./, ''));
  const isText = quoted !== undefined || op.includes('~') || !isLiteral(bare);
  return `${name} ${op} ${isText ? quoteTrace(quoted === undefined ? bare : unescape(quoted)) : bare}`;
}

function isLiteral(text: string): boolean {
  return /^-?\d+(\.\d+)?$/.test(text) || text === 'true' || text === 'false' || text === 'nil' || DURATION.test(text);
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === 't' ? '\t' : c === 'r' ? '\r' : c));
}

/** The query of a form; its tags must be readable. */
export function writeForm(form: TraceForm): string {
  const conditions = [
    form.service && `resource.service.name = ${quoteTrace(form.service)}`,
    form.operation && `name = ${quoteTrace(form.operation)}`,
    form.kind && `kind = ${form.kind}`,
    form.status && `status = ${form.status}`,
    form.min && `duration ${form.minOp} ${form.min}`,
    form.max && `duration ${form.maxOp} ${form.max}`,
    form.roots && ROOTS,
    ...(tagConditions(form.tags) ?? []),
  ].filter((one): one is string => typeof one === 'string' && one !== '');
  return conditions.length > 0 ? `{ ${conditions.join(' && ')} }` : '{}';
}

const STRING = /^(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)$/;

function stringIn(text: string): string | null {
  const m = STRING.exec(text);
  return m ? (m[2] ?? unescape(m[1] ?? '')) : null;
}

/** The fields that a query fills; null where it says more than they can. */
export function readForm(query: string): TraceForm | null {
  const parts = splitTraceQuery(query);
  const [only, ...more] = parts?.stages ?? [];
  if (only === undefined || more.length > 0 || parts?.hints !== '') return null;
  const [filter, ...others] = filterRanges(only);
  if (!filter || others.length > 0 || filter.from !== 0 || filter.to !== only.length) return null;
  const conditions = conditionsOf(filter.inside);
  if (conditions === null) return null;
  const form: TraceForm = { ...EMPTY_FORM };
  const tags: string[] = [];
  for (const condition of conditions) if (!readCondition(condition, form, tags)) return null;
  return { ...form, tags: tags.join(' ') };
}

const CONDITION = /^([^\s=!<>~"]+|[a-z]*\."(?:[^"\\]|\\.)*")\s*(=~|!~|!=|>=|<=|=|>|<)\s*(\S.*)$/s;

/** False where the fields cannot hold it, or hold another already. */
function readCondition(condition: string, form: TraceForm, tags: string[]): boolean {
  const m = CONDITION.exec(condition);
  if (!m) return false;
  const [, left = '', op = '', right = ''] = m;
  const text = stringIn(right);
  if (left === 'nestedSetParent') {
    const isNew = !form.roots && op === '<' && right === '0';
    form.roots = true;
    return isNew;
  }
  const field = FIELDS[left];
  if (field === 'service' || field === 'operation') {
    if (op !== '=' || text === null || form[field] !== '') return false;
    form[field] = text;
    return true;
  }
  if (field === 'kind' || field === 'status') {
    const known: readonly string[] = field === 'kind' ? KINDS : STATUSES;
    if (op !== '=' || !known.includes(right) || form[field] !== '') return false;
    form[field] = right;
    return true;
  }
  if (field === 'duration') return readBound(op, right, form);
  return readTag(left, op, right, text, tags);
}

const FIELDS: Readonly<Record<string, 'service' | 'operation' | 'kind' | 'status' | 'duration' | undefined>> = {
  'resource.service.name': 'service',
  name: 'operation',
  'span:name': 'operation',
  kind: 'kind',
  'span:kind': 'kind',
  status: 'status',
  'span:status': 'status',
  duration: 'duration',
  'span:duration': 'duration',
};

function readBound(op: string, right: string, form: TraceForm): boolean {
  if (!DURATION.test(right)) return false;
  if ((op === '>' || op === '>=') && form.min === '') {
    form.min = right;
    form.minOp = op;
    return true;
  }
  if ((op === '<' || op === '<=') && form.max === '') {
    form.max = right;
    form.maxOp = op;
    return true;
  }
  return false;
}

function readTag(left: string, op: string, right: string, text: string | null, tags: string[]): boolean {
  const m = /^([a-z]*)\.([A-Za-z_][\w.\-/]*)$/.exec(left);
  if (!m || (m[1] !== '' && !SCOPES.some((scope) => scope === m[1]))) return false;
  if (text === null && !isLiteral(right)) return false;
  const key = m[1] === '' ? (m[2] ?? '') : left;
  // A scope that is left out must not read as one.
  if (m[1] === '' && SCOPES.some((scope) => key.startsWith(`${scope}.`))) return false;
  const value = text === null ? right : isPlainText(text, op) ? text : quoteTrace(text);
  tags.push(`${key}${op}${value}`);
  return true;
}

/** Text that reads back as text without its quotes. */
function isPlainText(text: string, op: string): boolean {
  return text !== '' && !/[\s"\\]/.test(text) && (op.includes('~') || !isLiteral(text));
}

/** What addresses held before there was TraceQL in them. */
export interface OldSearch {
  service?: string | undefined;
  operation?: string | undefined;
  tags?: string | undefined;
  min?: string | undefined;
  max?: string | undefined;
}

/** Null where nothing of it is set, or nothing can be made of it. */
export function fromOldSearch(old: OldSearch): string | null {
  const { service = '', operation = '', tags = '', min = '', max = '' } = old;
  if (!service && !operation && !tags && !min && !max) return null;
  if (tagConditions(tags) === null) return null;
  const form = { ...EMPTY_FORM, service, operation, tags };
  return writeForm({ ...form, min: DURATION.test(min) ? min : '', max: DURATION.test(max) ? max : '' });
}
