/** One span: times, where it leads, attributes, events, links, the process it ran in. */
import { useState } from 'react';
import type { Zone } from '../../lib/time';
import { formatDateTimeMs, formatDurationUs } from '../../lib/timeformat';
import { sentId } from '../../lib/spandata';
import type { Span } from '../../lib/trace';
import { formatCount } from '../../lib/units';
import { CloseIcon } from '../../shell/icons';
import { Events, Links, Pairs } from './SpanEvents';
import { SpanPlaces } from './SpanPlaces';
import type { TraceLogs } from './useTraceLogs';
import type { TraceModel } from './useTraceModel';

interface Props {
  model: TraceModel;
  index: number;
  logs: TraceLogs;
  zone: Zone;
  onSpan: (id: string) => void;
  onZoom: (span: Span) => void;
  onClose: () => void;
}

export function SpanDetail(props: Props) {
  const span = props.model.trace.spans[props.index];
  if (!span) return null;
  return (
    <aside className="panel spanDetail" aria-label="Span">
      {span.missing ? <Missing {...props} span={span} /> : <Here {...props} span={span} key={span.id} />}
    </aside>
  );
}

function Heading({ span, onClose }: { span: Span; onClose: () => void }) {
  return (
    <div className="row spanDetailHead">
      <div className="grow">
        <h2>{span.missing ? 'A span that is missing' : span.operation}</h2>
        <div className="soft">
          {span.missing ? span.id : span.service}
          {span.kind ? ` · ${span.kind}` : ''} {span.cluster ? ` · ${span.cluster}` : ''}{' '}
          {span.error ? <span className="tag bad">error</span> : null}
        </div>
      </div>
      <button type="button" className="btn quiet" aria-label="Close span" onClick={onClose}>
        <CloseIcon />
      </button>
    </div>
  );
}

function Missing({ span, onClose }: Props & { span: Span }) {
  return (
    <>
      <Heading span={span} onClose={onClose} />
      <p className="spanNote">
        {formatCount(span.below)} {span.below === 1 ? 'span hangs' : 'spans hang'} below it, and name it as their
        parent. It was not sampled, is still on its way, was lost, or is in a cluster that did not answer.
      </p>
      <p className="spanNote soft">
        It lasted at least {formatDurationUs(span.durationUs)}, from +{formatDurationUs(span.startUs)} on: as long as
        what hangs directly below it.
      </p>
    </>
  );
}

function Here({ model, span, index, logs, zone, onSpan, onZoom, onClose }: Props & { span: Span }) {
  const { trace, self, onPath } = model;
  const parent = trace.spans[span.parent];
  const pathUs = onPath[index] ?? 0;
  const facts: [string, string][] = [
    ['Duration', formatDurationUs(span.durationUs)],
    ['Self', formatDurationUs(self[index] ?? 0)],
    ['Critical', pathUs > 0 ? formatDurationUs(pathUs) : '–'],
    ['Starts at', `+${formatDurationUs(span.startUs)}`],
    ['Spans below', formatCount(span.below)],
  ];
  return (
    <>
      <Heading span={span} onClose={onClose} />
      <dl className="spanFacts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="soft data spanWhen">
        {formatDateTimeMs((trace.startUs + span.startUs) / 1e3, zone)} · {sentId(span.id)}
      </div>
      <div className="row spanActions">
        {parent ? (
          <button type="button" className="linkish" onClick={() => onSpan(parent.id)}>
            Parent
          </button>
        ) : null}
        <button type="button" className="linkish" onClick={() => onZoom(span)}>
          Zoom to it
        </button>
        <Copy span={span} trace={trace.id} />
      </div>
      <SpanPlaces trace={trace} span={span} logs={logs} />
      {span.movedUs !== 0 ? (
        <p className="spanNote">
          Moved by {signed(span.movedUs)}: the clock of {span.host} disagrees with that of its parent’s host.
        </p>
      ) : null}
      {span.orphan ? <p className="warn spanNote">Its parent is not in this trace.</p> : null}
      {span.warnings.map((text) => (
        <p key={text} className="warn spanNote">
          {text}
        </p>
      ))}
      <div className="spanScroll" tabIndex={0} role="region" aria-label="Attributes and events">
        <Links trace={trace} span={span} onSpan={onSpan} />
        <Events trace={trace} span={span} />
        <Pairs title="Attributes" pairs={span.tags} />
        <Pairs title="Process" pairs={span.process} />
      </div>
    </>
  );
}

export function signed(us: number): string {
  return `${us < 0 ? '−' : '+'}${formatDurationUs(Math.abs(us))}`;
}

function Copy({ span, trace }: { span: Span; trace: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    const { id, service, cluster, operation, kind, durationUs, tags, events, links, process } = span;
    const plain = { trace, id, service, cluster, operation, kind, durationUs, tags, events, links, process };
    setCopied(true);
    void navigator.clipboard?.writeText(JSON.stringify(plain, null, 2));
  };
  return (
    <button type="button" className="linkish" onClick={copy}>
      {copied ? 'Copied' : 'Copy as JSON'}
    </button>
  );
}
