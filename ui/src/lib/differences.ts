/**
 * Which attributes tell a selection of spans from the rest: the answer of TraceQL's `compare()` as shares, the most telling
 * attribute first.
 */
import type { Series } from '../api/prom';

export interface Difference {
  /** As a query names it: `resource.service.name`, `name`, `status`. */
  name: string;
  /** The largest distance between two shares of a value, 0 to 1. */
  score: number;
  values: DifferentValue[];
  /** Values that are not listed, in either. */
  more: number;
}

export interface DifferentValue {
  /** Null where the attribute is not set. */
  value: string | null;
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
  /** Attributes whose values were too many for the node to count. */
  uncounted: string[];
}

const META = '__meta_type';
const ERROR = '__meta_error';
/** Values listed of one attribute. */
const LISTED = 8;

interface Counts {
  selected: Map<string, number>;
  others: Map<string, number>;
  selectedTotal: number;
  othersTotal: number;
}

/** Labels that say how a query sees an attribute come with its value as text; `nil` is one that is not set. */
export function readDifferences(series: readonly Series[]): Differences {
  const byName = new Map<string, Counts>();
  const uncounted = new Set<string>();
  for (const one of series) {
    const kind = one.labels[META] ?? '';
    const name = Object.keys(one.labels).find((key) => key !== META && key !== ERROR);
    if (name === undefined) continue;
    if (one.labels[ERROR] !== undefined) {
      uncounted.add(name);
      continue;
    }
    const counts = byName.get(name) ?? { selected: new Map(), others: new Map(), selectedTotal: 0, othersTotal: 0 };
    byName.set(name, counts);
    const sum = one.values.reduce((total, value) => total + value, 0);
    if (kind === 'selection_total') counts.selectedTotal += sum;
    else if (kind === 'baseline_total') counts.othersTotal += sum;
    else if (kind === 'selection') add(counts.selected, one.labels[name] ?? '', sum);
    else if (kind === 'baseline') add(counts.others, one.labels[name] ?? '', sum);
  }
  // Every span has a name and a status: the largest total is that of all spans.
  const selected = mostOf(byName, (one) => Math.max(one.selectedTotal, sumOf(one.selected)));
  const others = mostOf(byName, (one) => Math.max(one.othersTotal, sumOf(one.others)));
  const attributes = [...byName]
    .map(([name, counts]) => differenceOf(name, counts, selected, others))
    .filter((one) => one.score > 0)
    .sort((a, b) => b.score - a.score || a.name.localeCompare(b.name));
  return { selected, others, attributes, uncounted: [...uncounted].sort() };
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

function differenceOf(name: string, counts: Counts, selectedAll: number, othersAll: number): Difference {
  const share = (count: number, all: number) => (all > 0 ? count / all : 0);
  const shaped = (value: string | null, selected: number, others: number): DifferentValue => ({
    value,
    selected,
    others,
    selectedShare: share(selected, selectedAll),
    othersShare: share(others, othersAll),
  });
  const names = [...new Set([...counts.selected.keys(), ...counts.others.keys()])].filter((one) => one !== 'nil');
  const values = names.map((value) => shaped(value, counts.selected.get(value) ?? 0, counts.others.get(value) ?? 0));
  const total = (given: number, counted: ReadonlyMap<string, number>) =>
    Math.max(given, sumOf(counted)) - (counted.get('nil') ?? 0);
  const unset = shaped(
    null,
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

/** A condition that keeps these spans only; the type of a value is told by how it reads. */
export function differenceCondition(name: string, value: string | null, operator: '=' | '!='): string {
  if (value === null) return `${name} ${operator} nil`;
  const isWord = /^(span:)?(status|kind)$/.test(name);
  const isNumber = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(value);
  const isBool = value === 'true' || value === 'false';
  if (isWord || isNumber || isBool) return `${name} ${operator} ${value}`;
  return `${name} ${operator} "${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}
