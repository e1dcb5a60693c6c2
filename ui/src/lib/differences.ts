/**
 * Which attributes tell a selection of spans from the rest: the answer of TraceQL's `compare()` as shares, the most telling
 * attribute first.
 */
import { type AnyValue, anyText } from './found';
import { quoteTrace } from './traceql';

/** One value per set of labels, whose values keep their types. */
export interface TypedValue {
  labels: readonly { key: string; value: AnyValue }[];
  value: number;
}

export interface Difference {
  /** As a query names it: `resource.service.name`, `name`, `status`. */
  name: string;
  /** The largest distance between two shares of a value, 0 to 1. */
  score: number;
  values: DifferentValue[];
  /** Values that came and are not listed. */
  more: number;
  /** It has more values than the node names. */
  isCut: boolean;
}

export interface DifferentValue {
  /** Null where the attribute is not set. */
  value: string | null;
  /** As a query writes it. */
  literal: string;
  /** Spans with it. */
  selected: number;
  others: number;
  /** Of all spans of the selection, and of all others: 0 to 1. */
  selectedShare: number;
  othersShare: number;
}

export interface Differences {
  /** Spans in the selection, and outside of it. */
  selected: number;
  others: number;
  attributes: Difference[];
}

const META = '__meta_type';
const ERROR = '__meta_error';
/** Values listed of one attribute. */
const LISTED = 8;

interface Counts {
  /** By literal. */
  selected: Map<string, number>;
  others: Map<string, number>;
  texts: Map<string, string>;
  selectedTotal: number;
  othersTotal: number;
}

/** `nil` is the text of an attribute that is not set. */
const NIL = 'nil';

export function readDifferences(series: readonly TypedValue[]): Differences {
  const byName = new Map<string, Counts>();
  const cut = new Set<string>();
  for (const one of series) {
    const kind = anyText(one.labels.find(({ key }) => key === META)?.value);
    const attribute = one.labels.find(({ key }) => key !== META && key !== ERROR);
    if (!attribute) continue;
    const { key: name, value } = attribute;
    if (one.labels.some(({ key }) => key === ERROR)) {
      cut.add(name);
      continue;
    }
    const counts = byName.get(name) ?? {
      selected: new Map<string, number>(),
      others: new Map<string, number>(),
      texts: new Map<string, string>(),
      selectedTotal: 0,
      othersTotal: 0,
    };
    byName.set(name, counts);
    const literal = literalOf(name, value);
    if (kind === 'selection_total') counts.selectedTotal += one.value;
    else if (kind === 'baseline_total') counts.othersTotal += one.value;
    else {
      counts.texts.set(literal, anyText(value));
      add(kind === 'selection' ? counts.selected : counts.others, literal, one.value);
    }
  }
  // Every span has a name and a status: the largest total is that of all spans.
  const selected = mostOf(byName, (one) => Math.max(one.selectedTotal, sumOf(one.selected)));
  const others = mostOf(byName, (one) => Math.max(one.othersTotal, sumOf(one.others)));
  const attributes = [...byName]
    .map(([name, counts]) => ({ ...differenceOf(name, counts, selected, others), isCut: cut.has(name) }))
    .filter((one) => one.score > 0)
    .sort((a, b) => b.score - a.score || a.name.localeCompare(b.name));
  return { selected, others, attributes };
}

function add(into: Map<string, number>, value: string, count: number): void {
  into.set(value, (into.get(value) ?? 0) + count);
}

function sumOf(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

function mostOf(byName: ReadonlyMap<string, Counts>, of: (counts: Counts) => number): number {
  let most = 0;
  for (const counts of byName.values()) most = Math.max(most, of(counts));
  return most;
}

function differenceOf(name: string, counts: Counts, selectedAll: number, othersAll: number): Omit<Difference, 'isCut'> {
  const share = (count: number, all: number) => (all > 0 ? count / all : 0);
  const shaped = (literal: string, selected: number, others: number): DifferentValue => ({
    value: literal === NIL ? null : (counts.texts.get(literal) ?? literal),
    literal,
    selected,
    others,
    selectedShare: share(selected, selectedAll),
    othersShare: share(others, othersAll),
  });
  const names = [...new Set([...counts.selected.keys(), ...counts.others.keys()])].filter((one) => one !== NIL);
  const values = names.map((value) => shaped(value, counts.selected.get(value) ?? 0, counts.others.get(value) ?? 0));
  const total = (given: number, counted: ReadonlyMap<string, number>) =>
    Math.max(given, sumOf(counted)) - (counted.get(NIL) ?? 0);
  const unset = shaped(
    NIL,
    Math.max(0, selectedAll - total(counts.selectedTotal, counts.selected)),
    Math.max(0, othersAll - total(counts.othersTotal, counts.others)),
  );
  if (unset.selected > 0 || unset.others > 0) values.push(unset);
  values.sort((a, b) => distance(b) - distance(a) || b.selected - a.selected);
  return {
    name,
    score: values.reduce((most, one) => Math.max(most, distance(one)), 0),
    values: values.slice(0, LISTED),
    more: Math.max(0, values.length - LISTED),
  };
}

function distance(one: DifferentValue): number {
  return Math.abs(one.selectedShare - one.othersShare);
}

/** Text is quoted, words of the language and everything else stand for themselves. */
function literalOf(name: string, value: AnyValue): string {
  const text = anyText(value);
  if (value.stringValue === undefined || /^(span:)?(status|kind)$/.test(name)) return text;
  return text === NIL ? NIL : quoteTrace(text);
}
