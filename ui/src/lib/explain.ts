/** A query's tree as rows: what each part does in words, and what it cost where the engine says so. */
import type { ParseNode } from '../api/explain';
import type { PlanNode } from '../api/prom';
import { labelText, type Matcher, parseSelector, selector } from './promtext';
import { promDuration } from './steps';

export interface PlanRow {
  /** Place in the tree as child numbers with dots; stable, so that it can be folded by it. */
  id: string;
  depth: number;
  /** `rate`, `sum by (job)`, `up{job="a"}[5m]`. */
  title: string;
  /** What kind of part it is. */
  kind: string;
  /** Draws the lines of the tree: whether each level above still goes on below this row. */
  open: boolean[];
  last: boolean;
  children: number;
  /** What it took, where the engine measured it. */
  cost: Cost | null;
}

export interface Cost {
  /** With all below it, and of it alone. */
  seconds: number;
  ownSeconds: number;
  /** Share of the whole, 0 to 1. */
  share: number;
  ownShare: number;
  /** Of its result, or of what was read for it; `null` where the part above did its work. */
  series: number | null;
  bytes: number | null;
  read: PlanNode['read'];
  /** What the engine did to make it cheaper, in words. */
  remarks: string[];
}

/** Deeper than anybody writes; what lies below is left out rather than followed. */
const DEEPEST = 200;

export function planRows(root: ParseNode): PlanRow[] {
  const rows: PlanRow[] = [];
  const visit = (node: ParseNode, id: string, open: boolean[], last: boolean) => {
    const children = childrenOf(node);
    rows.push({ id, depth: open.length, ...describe(node), open, last, children: children.length, cost: null });
    if (open.length >= DEEPEST) return;
    children.forEach((child, i) => {
      visit(child, `${id}.${i}`, [...open, !last], i === children.length - 1);
    });
  };
  visit(root, '0', [], true);
  return rows;
}

/** The plan as the engine ran it, measured; empty where its nodes do not make a tree. */
export function measuredRows(nodes: readonly PlanNode[]): PlanRow[] {
  const below = nodes.map((): number[] => []);
  nodes.forEach((one, i) => {
    // A node stands after the one it answers to: what does not is no tree, and would be walked for ever.
    if (one.parent !== null && one.parent < i) below[one.parent]?.push(i);
  });
  const whole = nodes[0]?.seconds ?? 0;
  const rows: PlanRow[] = [];
  const visit = (at: number, id: string, open: boolean[], last: boolean) => {
    const one = nodes[at];
    const children = below[at] ?? [];
    if (!one) return;
    const ownSeconds = Math.max(0, one.seconds - children.reduce((sum, i) => sum + (nodes[i]?.seconds ?? 0), 0));
    // A part that made nothing itself was worked off by one above: a selector shows what was read for it.
    const idle = one.seconds === 0 && one.series === 0 && one.bytes === 0;
    const made = idle ? one.read : one;
    const share = (seconds: number) => (whole > 0 ? Math.min(1, seconds / whole) : 0);
    rows.push({
      id,
      depth: open.length,
      title: one.operator === 'selector' ? named(one.detail) : [one.operator, one.detail].filter(Boolean).join(' '),
      kind: one.operator === 'selector' ? 'selector' : '',
      open,
      last,
      children: children.length,
      cost: {
        seconds: one.seconds,
        ownSeconds,
        share: share(one.seconds),
        ownShare: share(ownSeconds),
        series: made ? made.series : null,
        bytes: made ? made.bytes : null,
        read: one.read,
        remarks: remarks(one),
      },
    });
    if (open.length >= DEEPEST) return;
    children.forEach((child, i) => visit(child, `${id}.${i}`, [...open, !last], i === children.length - 1));
  };
  visit(0, '0', [], true);
  return rows;
}

/** `{__name__="up", job="a"} offset 5m` as people write it: `up{job="a"} offset 5m`. */
function named(detail: string): string {
  const end = detail.lastIndexOf('}') + 1;
  const read = parseSelector(detail.slice(0, end));
  return read ? selector(read.metric, read.matchers) + detail.slice(end) : detail;
}

function remarks(one: PlanNode): string[] {
  return [
    ...(one.once ? ['once for all steps'] : []),
    ...(one.fused ? ['in one pass with the part above'] : []),
    ...(one.reused > 0 ? [`used ${one.reused + 1} times`] : []),
  ];
}

/** The rows left when some parts are folded. */
export function unfolded(rows: readonly PlanRow[], folded: ReadonlySet<string>): PlanRow[] {
  return rows.filter((row) => ![...folded].some((id) => row.id.startsWith(`${id}.`)));
}

function node(value: unknown): ParseNode[] {
  return typeof value === 'object' && value !== null && typeof (value as ParseNode).type === 'string'
    ? [value as ParseNode]
    : [];
}

function childrenOf(one: ParseNode): ParseNode[] {
  const args = Array.isArray(one.args) ? one.args.flatMap(node) : [];
  return [...node(one.param), ...node(one.lhs), ...node(one.rhs), ...node(one.expr), ...args];
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function names(value: unknown): string {
  return Array.isArray(value) ? value.map((one) => labelText(String(one))).join(', ') : '';
}

function describe(one: ParseNode): { title: string; kind: string } {
  switch (one.type) {
    case 'aggregation': {
      const grouping = names(one.grouping);
      const clause = one.without === true ? ` without (${grouping})` : grouping ? ` by (${grouping})` : '';
      return { title: `${text(one.op)}${clause}`, kind: 'aggregation' };
    }
    case 'call':
      return { title: `${text((one.func as { name?: unknown } | undefined)?.name)}()`, kind: 'function' };
    case 'binaryExpr':
      return { title: `${text(one.op)}${one.bool === true ? ' bool' : ''}${matching(one.matching)}`, kind: 'operator' };
    case 'unaryExpr':
      return { title: text(one.op), kind: 'operator' };
    case 'parenExpr':
      return { title: '( )', kind: 'parentheses' };
    case 'numberLiteral':
      return { title: text(one.val), kind: 'number' };
    case 'stringLiteral':
      return { title: JSON.stringify(one.val), kind: 'text' };
    case 'subquery':
      return {
        title: `[${duration(one.range)}:${one.step ? duration(one.step) : ''}]${moved(one)}`,
        kind: 'subquery',
      };
    case 'matrixSelector':
      return { title: `${selectorText(one)}[${duration(one.range)}]${moved(one)}`, kind: 'range selector' };
    case 'vectorSelector':
      return { title: `${selectorText(one)}${moved(one)}`, kind: 'selector' };
    default:
      return { title: one.type, kind: one.type };
  }
}

function selectorText(one: ParseNode): string {
  const matchers = (Array.isArray(one.matchers) ? one.matchers : []) as { name: string; value: string; type: string }[];
  const name = text(one.name);
  const rest = matchers.filter((m) => m.name !== '__name__' || m.type !== '=' || m.value !== name);
  return selector(
    name,
    rest.map((m) => ({ name: m.name, value: m.value, op: m.type as Matcher['op'] })),
  );
}

function duration(ms: unknown): string {
  const value = Number(ms);
  if (!Number.isFinite(value)) return '';
  return Math.abs(value) < 1000 || value % 1000 !== 0 ? `${value}ms` : promDuration(value / 1000);
}

function moved(one: ParseNode): string {
  const offset = Number(one.offset ?? 0);
  const back = offset === 0 ? '' : ` offset ${offset < 0 ? '-' : ''}${duration(Math.abs(offset))}`;
  const at =
    one.timestamp != null ? ` @ ${Number(one.timestamp) / 1000}` : one.startOrEnd ? ` @ ${text(one.startOrEnd)}()` : '';
  return `${at}${back}`;
}

function matching(value: unknown): string {
  if (typeof value !== 'object' || value === null) return '';
  const one = value as { card?: unknown; labels?: unknown; on?: unknown; include?: unknown };
  const labels = names(one.labels);
  const on = labels || one.on === true ? ` ${one.on === true ? 'on' : 'ignoring'} (${labels})` : '';
  const side = one.card === 'many-to-one' ? ' group_left' : one.card === 'one-to-many' ? ' group_right' : '';
  const include = names(one.include);
  return `${on}${side}${side && include ? ` (${include})` : ''}`;
}
