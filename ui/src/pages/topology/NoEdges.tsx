/** Why there is no map: no spans, or spans that do not meet. Each with what to do. */
import { Link } from '@tanstack/react-router';
import type { ServiceGraph } from '../../lib/servicegraph';
import { formatCount } from '../../lib/units';
import type { CommonSearch } from '../../state/search';
import { pickCommon, useSetRange } from '../../state/view';

export function NoEdges({ graph }: { graph: ServiceGraph }) {
  const setRange = useSetRange();
  const services = graph.nodes.size;
  return (
    <div className="panel empty grow">
      <h2>No edges yet</h2>
      {services > 0 ? (
        <>
          <p>
            {services === 1 ? 'One service sends' : `${formatCount(services)} services send`} spans, and none of them is
            known to call another. An edge is made of two spans: the client&apos;s, and the server&apos;s that has it as
            its parent. Both arrive within seconds of each other, and services hand the trace on in the header{' '}
            <code>traceparent</code>.
          </p>
          <Link to="/services" search={(before: CommonSearch) => pickCommon(before)} className="btn primary">
            The services there are
          </Link>
        </>
      ) : (
        <p>
          The map is made of spans while they come in, as the metrics <code>traces_service_graph_request_total</code>{' '}
          and <code>traces_spanmetrics_calls_total</code>. Send spans as OTLP to <code>/v1/traces</code> or port 4317,
          to this node or to one that it asks; the first edges are here within a minute.
        </p>
      )}
      <button type="button" className="btn" onClick={() => setRange({ from: 'now-24h', to: 'now' })}>
        Last 24 hours
      </button>
    </div>
  );
}
