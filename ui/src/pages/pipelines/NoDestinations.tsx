/** A node that sends nothing onward: how it comes to. */

const SNIPPET = `# orrery.yaml
forward:
  # another node; several addresses stand in for each other
  - name: hub
    to: otlp
    endpoints: ["http://hub-a.example.com:4317", "http://hub-b.example.com:4317"]
  # some of the metrics, to what is there already
  - name: long-term
    to: remote_write
    endpoint: https://metrics.example.com/api/v1/write
    write_relabel_configs:
    - {source_labels: [__name__], regex: "up|node_.*|kube_pod_info", action: keep}`;

const TRY = `orrery check config orrery.yaml
orrery check forward orrery.yaml --to http://127.0.0.1:9494
curl -X POST http://127.0.0.1:9494/-/reload`;

/** One that others send to may be where everything ends: it is told how, and not before it asks. */
export function NoDestinations({ isHub }: { isHub: boolean }) {
  return (
    <section className="panel pipeNone" aria-label="No destinations">
      {isHub ? (
        <details>
          <summary>This node sends nothing onward. How it would</summary>
          <How />
        </details>
      ) : (
        <>
          <h2>This node sends nothing onward</h2>
          <How />
        </>
      )}
    </section>
  );
}

function How() {
  return (
    <>
      <p>
        Name where telemetry should go, and which. Each destination has a place of its own in a queue on disk: one that
        is down holds back no other, and everything that does not arrive is counted with its reason.
      </p>
      <pre>
        <code>{SNIPPET}</code>
      </pre>
      <p>
        <code>to</code> is <code>otlp</code>, <code>otlp_http</code>, <code>remote_write</code>, <code>loki</code> or{' '}
        <code>elasticsearch</code>. What the rules let through can be tried before anything is sent; a reload takes them
        over:
      </p>
      <pre>
        <code>{TRY}</code>
      </pre>
    </>
  );
}
