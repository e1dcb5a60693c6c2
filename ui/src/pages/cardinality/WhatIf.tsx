/** How many series there would be without some labels, and the lines of configuration that leave them out. */
import { useMemo, useState } from 'react';
import type { Labels } from '../../api/prom';
import { dropRule, saving } from '../../lib/cardinality';
import { formatCount } from '../../lib/units';
import { CloseIcon } from '../../shell/icons';

interface Props {
  sets: readonly Labels[] | undefined;
  metric: string;
  drop: readonly string[];
  truncated: boolean;
  onDrop: (labels: string[]) => void;
}

export function WhatIf({ sets, metric, drop, truncated, onDrop }: Props) {
  const [copied, setCopied] = useState(false);
  const saved = useMemo(() => (sets ? saving(sets, drop) : 0), [sets, drop]);
  if (drop.length === 0 || !sets) return null;
  const rule = dropRule(metric, drop);
  const share = sets.length > 0 ? Math.round((saved / sets.length) * 100) : 0;
  return (
    <section className="panel whatIf" aria-label="What if">
      <div className="whatIfText">
        <p role="status">
          Without{' '}
          {drop.map((name) => (
            <button
              key={name}
              type="button"
              className="btn chip"
              aria-label={`Keep ${name}`}
              onClick={() => onDrop(drop.filter((one) => one !== name))}
            >
              {name}
              <CloseIcon />
            </button>
          ))}{' '}
          <strong className="num">{formatCount(sets.length)}</strong> series
          {truncated ? ' (those that were read)' : ''} become{' '}
          <strong className="num">{formatCount(sets.length - saved)}</strong>: {formatCount(saved)} fewer, {share} %.
        </p>
        <p className="soft">
          {drop.includes('le') ? 'Without le the buckets of classic histograms mean nothing. ' : ''}
          {saved > 0
            ? 'Series that become equal collide at the same instant: drop the label where its values are not needed apart, else aggregate at the source.'
            : 'Each series stays distinct by its other labels: this saves bytes, not series.'}
        </p>
      </div>
      <div className="whatIfRule">
        <pre>{rule}</pre>
        <button
          type="button"
          className="btn"
          onClick={() => void navigator.clipboard?.writeText(rule).then(() => setCopied(true))}
        >
          {copied ? 'Copied' : 'Copy'}
        </button>
      </div>
    </section>
  );
}
