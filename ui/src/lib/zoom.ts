/** The part of a trace in sight, in microseconds from its start. */
export interface Window {
  from: number;
  to: number;
}

/** Below this a bar's place is less than the clocks of two hosts agree on. */
const NARROWEST_US = 2;

export function parseWindow(text: string | undefined, durationUs: number): Window {
  const m = /^(\d+),(\d+)$/.exec(text ?? '');
  const whole = { from: 0, to: Math.max(durationUs, 1) };
  if (!m) return whole;
  const from = Math.min(Number(m[1]), whole.to);
  const to = Math.min(Number(m[2]), whole.to);
  return to - from >= NARROWEST_US ? { from, to } : whole;
}

export function windowText(window: Window, durationUs: number): string | undefined {
  const from = Math.max(0, Math.round(window.from));
  const to = Math.min(Math.round(window.to), Math.max(durationUs, 1));
  return from <= 0 && to >= durationUs ? undefined : `${from},${to}`;
}

/** `factor` below 1 zooms in; the point at `anchor` (0 to 1 of the width) stays where it is. */
export function zoomAt(window: Window, factor: number, anchor: number, durationUs: number): Window {
  const whole = Math.max(durationUs, 1);
  const width = Math.min(Math.max((window.to - window.from) * factor, NARROWEST_US), whole);
  const pivot = window.from + (window.to - window.from) * anchor;
  return clamp({ from: pivot - width * anchor, to: pivot + width * (1 - anchor) }, whole);
}

export function pan(window: Window, share: number, durationUs: number): Window {
  const by = (window.to - window.from) * share;
  return clamp({ from: window.from + by, to: window.to + by }, Math.max(durationUs, 1));
}

function clamp(window: Window, whole: number): Window {
  const width = Math.min(window.to - window.from, whole);
  const from = Math.min(Math.max(window.from, 0), whole - width);
  return { from, to: from + width };
}

/** Round distances between ticks: 1, 2 or 5 times a power of ten, at most `count` of them. */
export function ticks(window: Window, count: number): number[] {
  const wanted = (window.to - window.from) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(Math.max(wanted, 1e-9)));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= wanted) ?? 10 * power;
  const out: number[] = [];
  for (let at = Math.ceil(window.from / step) * step; at <= window.to && out.length < 100; at += step) out.push(at);
  return out;
}
